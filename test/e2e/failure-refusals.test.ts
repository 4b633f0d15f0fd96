/** Every HTTP error of an engine, on both wires, streaming and not, as the official SDKs see it and as the usage row says it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { usageRows } from "../support/usage.ts";
import { type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { type Clients, WIRES, clients, startWithConfig } from "../support/wire-gateway.ts";
import { REFUSALS } from "../support/wire-failures.ts";
import { thrownBy } from "../support/wire-thrown.ts";

let engine: WireEngine;
let evener: RunningEvener;
let sdk: Clients;
/** Request ids, with the outcome that their rows must have. */
const expectedOutcomes = new Map<string, string>();

beforeAll(async () => {
  engine = await startWireEngine();
  evener = await startWithConfig(engine.url);
  sdk = clients(evener);
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

describe("Failure: an engine refuses", () => {
  describe.each(WIRES)("%s", (wire) => {
    it.each(REFUSALS.map((refusal) => [refusal.what, refusal] as const))("%s", async (_what, refusal) => {
      for (const streams of [false, true]) {
        // Asked again with a body that fits, where it says that this one does not.
        engine.next(refusal.answer, refusal.answer);
        const thrown = await thrownBy(sdk, wire, streams);
        expect(thrown).toMatchObject({ status: refusal.status[wire], type: refusal.type[wire] });
        const { message } = refusal;
        expect(thrown.message).toMatch(message instanceof RegExp ? message : message[wire]);
        expect(thrown.headers.get("retry-after")).toBe(refusal.retryAfter ?? null);
        expect(thrown.headers.get("x-should-retry")).toBe(refusal.shouldRetry ?? null);
        expect(thrown.requestId).toMatch(/^req_/);
        expectedOutcomes.set(thrown.requestId, refusal.outcome ?? "error");
        engine.drop();
      }
    });
  });

  it("both > every refusal has its usage row, without output", async () => {
    const rows = new Map((await usageRows(evener)).map((row) => [row.request_id, row]));
    expect(expectedOutcomes.size).toBe(REFUSALS.length * 4);
    for (const [id, outcome] of expectedOutcomes) expect(rows.get(id)).toMatchObject({ outcome, output: 0 });
  });
});
