/** Every scripted fault, as a client sees it. */
import { expect, test } from "vitest";
import { chat, eventData, type RawAnswer, send, simulate, until } from "../../test/support/simulator.ts";
import type { Fault, Turn } from "./script.ts";

const TEXT = ["a", "b", "c", "d"];
const OPTIONS = { include_usage: true, continuous_usage_stats: true };

async function answer(turn: Turn, stream = true): Promise<RawAnswer> {
  const simulator = await simulate({ script: () => ({ text: TEXT, ...turn }) });
  const body = { messages: [{ role: "user", content: "hello" }], stream, ...(stream && { stream_options: OPTIONS }) };
  return chat(simulator, body).answer;
}

/** The text of a stream's deltas, and whether it finished. */
function read(text: string): { content: string; finished: boolean; done: boolean } {
  let content = "";
  let finished = false;
  const events = eventData(text);
  for (const data of events) {
    if (!data.startsWith('{"id"')) continue;
    const choice = JSON.parse(data).choices[0];
    content += choice?.delta.content ?? "";
    finished ||= typeof choice?.finish_reason === "string";
  }
  return { content, finished, done: events.at(-1) === "[DONE]" };
}

test("an HTTP error with its headers and body, or one of our own", async () => {
  const limited = await answer({
    fault: { kind: "http", status: 429, headers: { "retry-after": "7" }, body: { error: "slow" } },
  });
  expect([limited.status, limited.text]).toEqual([429, '{"error":"slow"}']);
  expect(Object.fromEntries(limited.headers)).toMatchObject({ "retry-after": "7", "content-type": "application/json" });
  const plain = await answer({ fault: { kind: "http", status: 503 } }, false);
  expect(JSON.parse(plain.text).error).toMatchObject({
    code: 503,
    message: "scripted HTTP 503 of the simulated engine",
  });
});

test.each<["reset" | "close" | "clean", RawAnswer["end"]]>([
  ["reset", "cut"],
  ["close", "cut"],
  ["clean", "complete"],
])("a stream that is cut after two chunks (%s)", async (how, end) => {
  const got = await answer({ fault: { kind: "cut", after: 2, how } });
  expect(got.end).toBe(end);
  expect(read(got.text)).toEqual({ content: "ab", finished: false, done: false });
});

test("a connection that is cut before the head, and before the first chunk", async () => {
  expect((await answer({ fault: { kind: "cut", after: "start" } })).end).toBe("no-head");
  const head = await answer({ fault: { kind: "cut", after: "head" } });
  expect([head.status, head.text, head.end]).toEqual([200, "", "cut"]);
});

test.each<["reset" | "close" | "clean", RawAnswer["end"]]>([
  ["reset", "no-head"],
  ["close", "cut"],
  ["clean", "complete"],
])("a whole answer that is cut (%s)", async (how, end) => {
  const got = await answer({ fault: { kind: "cut", after: 2, how } }, false);
  expect(got.end).toBe(end);
  expect(() => JSON.parse(got.text)).toThrow(SyntaxError);
});

test("an error in the middle of a stream, as vLLM sends it when its engine dies", async () => {
  const got = await answer({ fault: { kind: "error", after: 1 } });
  expect(eventData(got.text).slice(-2)).toEqual([
    '{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","param":null,"code":500}}',
    "[DONE]",
  ]);
  expect(read(got.text)).toEqual({ content: "a", finished: false, done: true });
  const own = await answer({ fault: { kind: "error", after: 1, error: { error: "é" }, done: false } });
  expect(eventData(own.text).at(-1)).toBe('{"error":"é"}');
  expect((await answer({ fault: { kind: "error", after: 1 } }, false)).status).toBe(500);
});

test.each<[Fault["kind"] & ("hang" | "silence"), "start" | "head" | number, number]>([
  ["hang", "start", 0],
  ["hang", "head", 0],
  ["hang", 0, 1],
  ["hang", 2, 3],
  ["hang", 99, 5],
  ["silence", 2, 3],
])("%s after %s: %d chunks, and nothing until the client leaves", async (kind, after, chunks) => {
  const fault: Fault = kind === "hang" ? { kind, after } : { kind, after, ms: 60_000 };
  const simulator = await simulate({ script: () => ({ text: TEXT, fault }) });
  const request = chat(simulator, { messages: [{ role: "user", content: "hello" }], stream: true });
  await until(() => simulator.requests.length === 1);
  if (after !== "start") await until(() => request.received().status === 200);
  await until(() => eventData(request.received().text).length === chunks);
  // Long enough for more, if more would come.
  await new Promise((resolve) => setTimeout(resolve, 50));
  request.abort();
  await simulator.idle();
  const got = await request.answer;
  expect(got.status).toBe(after === "start" ? 0 : 200);
  expect(eventData(got.text)).toHaveLength(chunks);
  expect(simulator.requests[0]).toMatchObject({ outcome: "aborted", chunks });
  expect(simulator.running).toBe(0);
});

test("after a silence the answer goes on", async () => {
  const got = await answer({ fault: { kind: "silence", after: 2, ms: 30 } });
  expect(read(got.text)).toEqual({ content: "abcd", finished: true, done: true });
});

test("garbage, a huge line and broken UTF-8 stand among good chunks", async () => {
  const garbage = await answer({ fault: { kind: "garbage", after: 2, lines: ["what", "data: {", "data: é"] } });
  expect(garbage.text).toMatch(/what\n\ndata: \{\n\ndata: é\n\n/);
  expect(read(garbage.text)).toEqual({ content: "abcd", finished: true, done: true });

  const huge = await answer({ fault: { kind: "huge-line", after: 1, bytes: 3_000_000 } });
  expect(read(huge.text).content).toHaveLength(3_000_004);

  const broken = await answer({ fault: { kind: "broken-utf8", after: 1 } });
  expect(broken.body.includes(Buffer.from([0x22, 0xff, 0xc3, 0x28, 0x22]))).toBe(true);
  expect(read(broken.text)).toMatchObject({ finished: true, done: true });
});

test("several faults in one answer", async () => {
  const fault: Fault[] = [
    { kind: "garbage", after: 1, lines: ["first"] },
    { kind: "silence", after: 2, ms: 1 },
    { kind: "garbage", after: 2, lines: ["second"] },
    { kind: "cut", after: 3 },
  ];
  const got = await answer({ fault });
  expect(got.text).toMatch(/first[^]*second/);
  expect([read(got.text).content, got.end]).toEqual(["abc", "cut"]);
});

test.each<[NonNullable<Turn["usage"]> | "as asked", onChunks: number, last: number]>([
  ["as asked", 6, 1],
  ["missing", 0, 0],
  ["final-only", 0, 1],
  ["running-only", 6, 0],
  ["doubled", 6, 2],
])("usage %s", async (usage, onChunks, last) => {
  const got = await answer(usage === "as asked" ? {} : { usage });
  const chunks = eventData(got.text)
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data));
  expect(chunks.filter(({ choices, usage: told }) => choices.length > 0 && told !== undefined)).toHaveLength(onChunks);
  expect(chunks.filter(({ choices, usage: told }) => choices.length === 0 && told !== undefined)).toHaveLength(last);
});

test("an empty answer, an odd finish, escapes and the older field for reasoning", async () => {
  const empty = await answer({ text: "" });
  expect(eventData(empty.text)).toHaveLength(4);
  expect(read(empty.text)).toEqual({ content: "", finished: true, done: true });

  const simulator = await simulate({ reasoning: true });
  simulator.next({ reasoning: ["é"], text: ["日"], finish: "content_filter", escapes: true, oldReasoningField: true });
  const { text } = await chat(simulator, { messages: [{ role: "user", content: "hello" }], stream: true }).answer;
  expect(text).toContain('"delta":{"reasoning_content":"\\u00e9"}');
  expect(text).toContain('"delta":{"content":"\\u65e5"}');
  expect(text).toContain('"finish_reason":"content_filter"');
});

test("the engine's death ends every request in vLLM's way, and stays", async () => {
  const slow: Turn = { text: TEXT, delay: 60_000 };
  const simulator = await simulate();
  simulator.next(slow, slow, { text: TEXT, fault: { kind: "die", after: 2 } });
  const ask = (stream: boolean): object => ({ messages: [{ role: "user", content: "hello" }], stream });
  const streaming = chat(simulator, ask(true));
  await until(() => simulator.running === 1);
  const whole = chat(simulator, ask(false));
  await until(() => simulator.running === 2);
  const killer = await chat(simulator, ask(true)).answer;
  const others = await Promise.all([streaming.answer, whole.answer]);
  expect(read(killer.text)).toEqual({ content: "ab", finished: false, done: true });
  for (const { text } of [killer, ...others]) expect(text).toContain("EngineCore encountered an issue");
  expect(others.map(({ status }) => status)).toEqual([200, 500]);
  expect((await chat(simulator, ask(true)).answer).status).toBe(500);
  expect((await send(`${simulator.url}/health`, { method: "GET" }).answer).status).toBe(503);
  expect(simulator.counters).toMatchObject({ engineDead: 3, refused: 1, received: 4 });
});

test("the death of its process cuts every connection and closes the port, until it is revived", async () => {
  const simulator = await simulate();
  simulator.next({ text: TEXT, fault: { kind: "die", after: 2, process: true } });
  const ask = { messages: [{ role: "user", content: "hello" }], stream: true };
  const killed = await chat(simulator, ask).answer;
  expect([killed.end, read(killed.text).done]).toEqual(["cut", false]);
  expect((await chat(simulator, ask).answer).end).toBe("no-head");
  await simulator.revive();
  expect((await chat(simulator, ask).answer).end).toBe("complete");
});
