/** A client that sends a request again because its stream broke: the usage rows say which one it repeats. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { usageRowsNow } from "../support/usage.ts";
import { role, say, textStream } from "../support/wire-chunks.ts";
import { type Step, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { ask, post, startWithConfig } from "../support/wire-gateway.ts";

let engine: WireEngine;
let evener: RunningEvener;

beforeAll(async () => {
  engine = await startWireEngine();
  evener = await startWithConfig(engine.url, { timeouts: { first_byte_ms: 800, ping_ms: 50 } });
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});

it.each<[what: string, steps: Step[], sign: string]>([
  ["words", [role, say("Half"), "reset"], "Half"],
  ["signs of life alone", ["hang"], "event: ping"],
])("is recognised after %s", async (what, steps, sign) => {
  const headers = { "x-claude-code-session-id": what.replaceAll(" ", "-") };
  engine.next({ steps });
  const broken = await post(evener, "anthropic", ask({ stream: true }), headers);
  expect(broken).toMatchObject({ status: 200, complete: false, text: expect.stringContaining(sign) });
  engine.next({ steps: textStream("Whole.") });
  const again = await post(evener, "anthropic", ask(), headers);
  expect(again.status).toBe(200);
  const rows = await usageRowsNow(evener);
  expect(rows.find((row) => row.request_id === again.headers["request-id"])).toMatchObject({
    repeat_of: broken.headers["request-id"],
  });
});
