/** A client that leaves stops the engine, wherever it was; what was generated until then is in the usage rows. */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { open, start } from "../support/http.ts";
import { type UsageRow, usageRowsNow } from "../support/usage.ts";
import { waitUntil } from "../support/wait-until.ts";

let simulator: Simulator;
let evener: RunningEvener;

beforeAll(async () => {
  simulator = await startSimulator({ model: "test-model", maxNumSeqs: 1 });
  evener = await startEvener({ engines: [simulator.url] });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});

/** Long enough that nothing ends by itself while a test looks. */
const ENDLESS = { text: "word ".repeat(5_000), delay: 20 };

const sent = (stream: boolean, session: string) => ({
  headers: { authorization: `Bearer ${evener.key}`, "x-claude-code-session-id": session },
  body: { model: "test-model", max_tokens: 100_000, stream, messages: [{ role: "user", content: "go on" }] },
});

async function rowOf(session: string): Promise<UsageRow> {
  let rows: UsageRow[] = [];
  await waitUntil(`the usage row of ${session}`, async () => {
    rows = (await usageRowsNow(evener)).filter((row) => row.session === session);
    return rows.length > 0;
  });
  expect(rows).toHaveLength(1);
  return rows[0]!;
}

/** Tokens that the engine has generated for the request after the first `received` ones. */
function generatedSince(received: number): number {
  if (simulator.counters.received === received) return 0;
  return simulator.requests.findLast((request) => request.path === "/v1/chat/completions")?.completionTokens ?? 0;
}

describe.each(["/v1/messages", "/v1/chat/completions"])("%s", (path) => {
  it("stops before the first token", async () => {
    const before = { ...simulator.counters };
    simulator.next({ ...ENDLESS, ttft: 60_000 });
    const session = `early${path}`;
    const request = start(evener.url + path, sent(true, session));
    request.on("error", () => {});
    await waitUntil("the engine to work on it", () => simulator.running === 1);
    request.destroy();
    await simulator.idle();
    expect(simulator.counters).toMatchObject({
      aborted: before.aborted + 1,
      abortedBeforeFirstToken: before.abortedBeforeFirstToken + 1,
    });
    expect(await rowOf(session)).toMatchObject({ outcome: "client_gone", output: 0, first_token_ms: null });
  });

  it("stops mid-stream, and writes down what was generated", async () => {
    const before = { ...simulator.counters };
    simulator.next(ENDLESS);
    const session = `midway${path}`;
    const { request, response } = await open(evener.url + path, sent(true, session));
    request.on("error", () => {});
    response.on("error", () => {});
    await once(response, "data");
    await waitUntil("ten tokens", () => generatedSince(before.received) >= 10);
    request.destroy();
    await simulator.idle();
    expect(simulator.counters).toMatchObject({
      aborted: before.aborted + 1,
      abortedMidStream: before.abortedMidStream + 1,
    });
    const generated = generatedSince(before.received);
    const row = await rowOf(session);
    expect(row).toMatchObject({ outcome: "client_gone", counted_by: "engine" });
    // What the engine wrote into a connection that was being closed is its last chunk or two.
    expect(row.output).toBeGreaterThanOrEqual(generated - 3);
    expect(row.output).toBeLessThanOrEqual(generated);
  });

  it("stops an answer that is not streamed", async () => {
    const before = { ...simulator.counters };
    simulator.next(ENDLESS);
    const session = `whole${path}`;
    const request = start(evener.url + path, sent(false, session));
    request.on("error", () => {});
    await waitUntil("ten tokens", () => generatedSince(before.received) >= 10);
    request.destroy();
    await simulator.idle();
    expect(simulator.counters.aborted).toBe(before.aborted + 1);
    expect(await rowOf(session)).toMatchObject({ outcome: "client_gone", counted_by: "engine" });
  });

  it("stops one that still waits in the engine's queue, and no other", async () => {
    const before = { ...simulator.counters };
    simulator.next(ENDLESS, { text: "never" });
    const first = await open(evener.url + path, sent(true, `holds${path}`));
    for (const emitter of [first.request, first.response]) emitter.on("error", () => {});
    first.response.resume();
    await waitUntil("the first to run", () => simulator.running === 1);
    const second = start(evener.url + path, sent(true, `waits${path}`));
    second.on("error", () => {});
    await waitUntil("the second to wait", () => simulator.waiting === 1);
    second.destroy();
    await waitUntil("the queue to be empty", () => simulator.waiting === 0);
    expect(simulator.counters.abortedWaiting).toBe(before.abortedWaiting + 1);
    expect(simulator.running).toBe(1);
    first.request.destroy();
    await simulator.idle();
  });
});
