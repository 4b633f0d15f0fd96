/** Engines that hang: each time limit, set small in evener.yaml, ends in the client's own error and never in a finish. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { usageRows } from "../support/usage.ts";
import { args, call, role, say, textStream, think } from "../support/wire-chunks.ts";
import { type WireAnswer, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { type Clients, WIRES, type WireName, clients, startWithConfig, stream } from "../support/wire-gateway.ts";
import { thrownBy } from "../support/wire-thrown.ts";

let engine: WireEngine;
let evener: RunningEvener;
let sdk: Clients;

beforeAll(async () => {
  engine = await startWireEngine();
  evener = await startWithConfig(engine.url, {
    // An engine that hangs is looked at again while its answers are waited for; no look may come between.
    timeouts: { connect_ms: 1_000, first_byte_ms: 400, idle_ms: 500, total_ms: 1_500, probe_ms: 600_000 },
  });
  sdk = clients(evener);
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

const TYPE: Record<WireName, string> = { anthropic: "timeout_error", openai: "server_error" };
const drip = Array.from({ length: 100 }, () => [say("drip "), { wait: 100 }]).flat();

const HANGS: [what: string, answer: WireAnswer, message: RegExp][] = [
  ["before the head", { steps: ["hang"] }, /sent nothing for 400 ms/],
  ["before the first chunk", { steps: [":\n\n", "hang"] }, /fell silent for 500 ms/],
  ["mid-text", { steps: [role, say("Half"), "hang"] }, /fell silent for 500 ms/],
  ["mid-tool-call", { steps: [role, call(0, "get_weather"), args(0, '{"ci'), "hang"] }, /fell silent for 500 ms/],
  ["after reasoning", { steps: [role, think("hm"), "hang"] }, /fell silent for 500 ms/],
  ["never, but without an end", { steps: [role, ...drip] }, /took longer than 1500 ms/],
];

describe("Failure: an engine hangs", () => {
  describe.each(WIRES)("%s", (wire) => {
    it.concurrent.each(HANGS)("%s", async (what, answer, message) => {
      const content = `${wire}, ${what}.`;
      const told = { type: TYPE[wire], message: expect.stringMatching(message) as unknown };
      // Asked again it would hang again: a second try after a time limit only doubles the wait.
      engine.answer(content, answer, answer);
      expect(await thrownBy(sdk, wire, true, content)).toMatchObject(told);
      expect(await thrownBy(sdk, wire, false, content)).toMatchObject({ ...told, status: 504 });
    });

    it("a silence within the limits ends nothing", async () => {
      engine.next({ steps: [role, say("One "), { wait: 250 }, ...textStream("two.").slice(1)] });
      expect((await stream(evener, wire)).verdict).toMatchObject({ problems: [], end: "finish", text: "One two." });
    });
  });

  it("both > the rows say that the engine died", async () => {
    const rows = await usageRows(evener);
    const outcomes = rows.map((row) => row.outcome).filter((outcome) => outcome !== "ok");
    expect(outcomes).toEqual(Array.from({ length: HANGS.length * 4 }, () => "engine_died"));
  });
});

describe("Failure: an engine is not there", () => {
  it("both > refused connections are told with a time to come back", async () => {
    const gone = await startWireEngine();
    const behind = await startWithConfig(gone.url);
    try {
      await gone.close();
      for (const wire of WIRES) {
        for (const streams of [true, false]) {
          const thrown = await thrownBy(clients(behind), wire, streams);
          expect(thrown).toMatchObject(
            wire === "anthropic" ? { status: 529, type: "overloaded_error" } : { status: 503, type: "server_error" },
          );
          expect(thrown.headers.get("retry-after")).toBe("5");
        }
      }
    } finally {
      await behind.stop();
    }
  });
});
