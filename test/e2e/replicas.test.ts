/** Several replicas of a model: which of them a conversation is sent to. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { usageRowsNow } from "../support/usage.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type WireAnswer, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { ask, request, startWithConfig } from "../support/wire-gateway.ts";

const HELLO = [
  'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi."},"finish_reason":null}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n',
  "data: [DONE]\n\n",
];

const hello: WireAnswer = { headers: { "content-type": "text/event-stream" }, steps: HELLO };
const hang: WireAnswer = { steps: ["hang"] };

let engines: WireEngine[];
let evener: RunningEvener;
/** Looks at its engines all the time. */
let hasty: RunningEvener;

beforeAll(async () => {
  engines = await Promise.all([1, 2, 3].map(() => startWireEngine()));
  engines.forEach((engine, index) => (engine.tokens = 100 + index));
  evener = await startEvener({ engines: engines.map(({ url }) => url) });
  hasty = await startWithConfig(
    engines.map(({ url }) => url),
    { timeouts: { first_byte_ms: 600_000, probe_ms: 200, ping_ms: 50 } },
  );
});
afterEach(() => {
  for (const engine of engines) {
    engine.drop();
    engine.healthy = true;
  }
});
afterAll(async () => {
  await evener?.stop();
  await hasty?.stop();
  for (const engine of engines ?? []) await engine.close();
});

it("counts a conversation's tokens where it is answered", async () => {
  const answeredBy: number[] = [];
  for (let n = 0; n < 12; n++) {
    const session = { "x-claude-code-session-id": `session-${n}` };
    for (const engine of engines) engine.next(hello);
    const before = engines.map(({ requests }) => requests.length);
    const chat = await request(evener, "/v1/messages", { body: ask(), headers: session });
    expect(chat.status).toBe(200);
    const one = engines.findIndex(({ requests }, index) => requests.length > before[index]!);
    const counted = await request(evener, "/v1/messages/count_tokens", { body: ask(), headers: session });
    expect(JSON.parse(counted.text)).toEqual({ input_tokens: 100 + one });
    answeredBy.push(one);
    for (const engine of engines) engine.drop();
  }
  expect(new Set(answeredBy).size).toBeGreaterThan(1);
});

it("spreads what comes at once, also where prompts have to be counted first", async () => {
  let release = (): void => {};
  const counted = new Promise<void>((resolve) => (release = resolve));
  let finish = (): void => {};
  const until = new Promise<void>((resolve) => (finish = resolve));
  const before = engines.map(({ requests }) => requests.length);
  const asked = () => engines.map(({ requests }, index) => requests.length - before[index]!);
  for (const engine of engines) {
    engine.counting = counted;
    engine.next(...Array.from({ length: 12 }, () => ({ steps: [{ until }, ...HELLO] })));
  }
  const body = ask({ messages: [{ role: "user", content: "word ".repeat(4_000) }] });
  const answers = Array.from({ length: 12 }, () => request(evener, "/v1/messages", { body }));
  await waitUntil("all to be there", async () => {
    const { text } = await request(evener, "/metrics", { method: "GET" });
    return text.includes("\nevener_in_flight_requests 12\n");
  });
  release();
  await waitUntil("all to be asked", () => asked().reduce((sum, count) => sum + count) === 12);
  finish();
  expect(asked()).toEqual([4, 4, 4]);
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
});

it.each([true, false])("takes a request on when its replica goes down before a word (streamed: %s)", async (stream) => {
  const session = `moved-${stream}`;
  const before = engines.map(({ requests }) => requests.length);
  for (const engine of engines) engine.next(hang);
  const answer = request(hasty, "/v1/messages", {
    body: ask({ stream }),
    headers: { "x-claude-code-session-id": session },
  });
  let first: WireEngine | undefined;
  await waitUntil("a replica to be asked", () => {
    first = engines.find(({ requests }, index) => requests.length > before[index]!);
    return first !== undefined;
  });
  for (const engine of engines) {
    if (engine === first) continue;
    engine.drop();
    engine.next(hello);
  }
  first!.healthy = false;
  expect(await answer).toMatchObject({ status: 200, complete: true, text: expect.stringContaining("Hi.") });
  const rows = (await usageRowsNow(hasty)).filter((row) => row.session === session);
  expect(rows).toMatchObject([{ outcome: "ok", input_uncached: 9, output: 2 }]);
});

it("goes on to another when a replica has lost the model, and when it stays silent", async () => {
  const lost: WireAnswer = {
    status: 404,
    steps: ['{"error":{"message":"The model `test-model` does not exist.","type":"NotFoundError","code":404}}'],
  };
  const silent = await startWithConfig(
    engines.map(({ url }) => url),
    { timeouts: { first_byte_ms: 300 } },
  );
  try {
    const headers = { "x-claude-code-session-id": "goes-on" };
    const before = engines.map(({ requests }) => requests.length);
    for (const engine of engines) engine.next(hello);
    await request(silent, "/v1/messages", { body: ask(), headers });
    const own = engines.find(({ requests }, index) => requests.length > before[index]!)!;
    for (const bad of [lost, hang]) {
      for (const engine of engines) {
        engine.drop();
        engine.next(engine === own ? bad : hello);
      }
      const asked = own.requests.length;
      const answer = await request(silent, "/v1/messages", { body: ask(), headers });
      expect(answer).toMatchObject({ status: 200, text: expect.stringContaining("Hi.") });
      expect(own.requests.length).toBe(asked + 1);
    }
  } finally {
    await silent.stop();
  }
});
