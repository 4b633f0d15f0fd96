/** Requests that run, wait and leave: what a client that closes its connection frees, and when. */
import http from "node:http";
import { expect, test } from "vitest";
import { chat, send, simulate, until } from "../../test/support/simulator.ts";

const ask = (more: object = {}): object => ({ messages: [{ role: "user", content: "hello" }], stream: true, ...more });
const FOREVER = { text: Array.from({ length: 1000 }, () => "x"), delay: 10_000 };

test("more requests than max_num_seqs wait, and /metrics says so", async () => {
  const simulator = await simulate({ maxNumSeqs: 2, script: () => FOREVER });
  const requests = Array.from({ length: 5 }, () => chat(simulator, ask()));
  await until(() => simulator.running + simulator.waiting === 5);
  expect([simulator.running, simulator.waiting]).toEqual([2, 3]);
  const { text } = await send(`${simulator.url}/metrics`, { method: "GET" }).answer;
  expect(text).toMatch(/vllm:num_requests_running\{.*\} 2\.0/);
  expect(text).toMatch(/vllm:num_requests_waiting\{.*\} 3\.0/);
  for (const request of requests) request.abort();
  await simulator.idle();
  expect([simulator.running, simulator.waiting, simulator.peakRunning]).toEqual([0, 0, 2]);
});

test("a waiting request has its head before its turn, and its answer after", async () => {
  const simulator = await simulate({ maxNumSeqs: 1 });
  simulator.next(FOREVER, { text: "second" });
  const first = chat(simulator, ask());
  await until(() => simulator.running === 1);
  const second = chat(simulator, ask());
  await until(() => simulator.waiting === 1 && simulator.requests[1]?.status === 200);
  expect(simulator.requests[1]).toMatchObject({ phase: "waiting", chunks: 0 });
  first.abort();
  expect((await second.answer).text).toContain("second");
  expect(simulator.counters).toMatchObject({ received: 2, aborted: 1, finished: 1 });
});

test.each([true, false])(
  "a client that leaves before the first token frees the engine (stream: %s)",
  async (stream) => {
    const simulator = await simulate({ prefillSpeed: 1 });
    const request = chat(simulator, ask({ stream }));
    await until(() => simulator.requests[0]?.phase === "prefill");
    request.abort();
    await simulator.idle();
    expect(simulator.requests[0]).toMatchObject({ outcome: "aborted", completionTokens: 0, chunks: 0 });
    expect(simulator.counters).toMatchObject({
      aborted: 1,
      abortedBeforeFirstToken: 1,
      abortedNonStreaming: stream ? 0 : 1,
    });
    expect(simulator.running).toBe(0);
  },
);

test.each([true, false])("a client that leaves in the middle frees the engine (stream: %s)", async (stream) => {
  const simulator = await simulate();
  simulator.next({ text: Array.from({ length: 500 }, () => "x"), delay: 2 });
  const request = chat(simulator, ask({ stream }));
  await until(() => (simulator.requests[0]?.completionTokens ?? 0) > 3);
  request.abort();
  await simulator.idle();
  const { completionTokens, outcome } = simulator.requests[0]!;
  expect(outcome).toBe("aborted");
  expect(completionTokens).toBeLessThan(500);
  expect(simulator.counters).toMatchObject({ abortedMidStream: 1, abortedNonStreaming: stream ? 0 : 1 });
  expect(simulator.totals.generatedTokens).toBe(completionTokens);
});

test("a client that leaves while it waits is counted, and starts nothing", async () => {
  const simulator = await simulate({ maxNumSeqs: 1, script: () => FOREVER });
  const first = chat(simulator, ask());
  await until(() => simulator.running === 1);
  const second = chat(simulator, ask());
  await until(() => simulator.waiting === 1);
  second.abort();
  await until(() => simulator.waiting === 0);
  expect(simulator.counters).toMatchObject({ aborted: 1, abortedWaiting: 1 });
  first.abort();
  await simulator.idle();
});

test("a client that leaves while it sends its request is counted, and harms nobody", async () => {
  const simulator = await simulate();
  for (const path of ["/v1/chat/completions", "/tokenize"]) {
    const headers = { "content-type": "application/json", "content-length": "1000" };
    const request = http.request(simulator.url + path, { method: "POST", agent: false, headers });
    request.on("error", () => {});
    request.write('{"messages": [');
    await until(() => simulator.requests.at(-1)?.path === path);
    request.destroy();
    await until(() => simulator.requests.at(-1)?.outcome === "aborted");
  }
  expect(simulator.counters).toMatchObject({ received: 1, aborted: 1, abortedWaiting: 1 });
  expect((await chat(simulator, ask()).answer).end).toBe("complete");
});

test("a script that throws is an error of the engine's, told to the client", async () => {
  const simulator = await simulate({
    script: () => {
      throw new Error("no such turn");
    },
  });
  const answer = await chat(simulator, ask()).answer;
  expect([answer.status, JSON.parse(answer.text).error.message]).toEqual([500, "no such turn"]);
  expect([simulator.counters.refused, simulator.running]).toEqual([1, 0]);
});

test("a stream that is read too slowly takes no memory without end, and goes on when it is read", async () => {
  const simulator = await simulate();
  simulator.next({ text: Array.from({ length: 200 }, () => "x".repeat(100_000)) });
  const response = await fetch(`${simulator.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(ask()),
  });
  // Socket buffers take some megabytes of the twenty.
  let before = -1;
  while (simulator.requests[0]!.chunks !== before) {
    before = simulator.requests[0]!.chunks;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(before).toBeLessThan(180);
  expect((await response.text()).length).toBeGreaterThan(20_000_000);
  expect(simulator.requests[0]!.outcome).toBe("finished");
});
