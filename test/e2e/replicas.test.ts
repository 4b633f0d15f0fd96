/** Several replicas of a model: which of them a conversation is sent to. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { ask, request } from "../support/wire-gateway.ts";

const HELLO = [
  'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi."},"finish_reason":null}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n',
  "data: [DONE]\n\n",
];

let engines: WireEngine[];
let evener: RunningEvener;

beforeAll(async () => {
  engines = await Promise.all([1, 2, 3].map(() => startWireEngine()));
  engines.forEach((engine, index) => (engine.tokens = 100 + index));
  evener = await startEvener({ engines: engines.map(({ url }) => url) });
});
afterAll(async () => {
  await evener?.stop();
  for (const engine of engines ?? []) await engine.close();
});

it("counts a conversation's tokens where it is answered", async () => {
  const answeredBy: number[] = [];
  for (let n = 0; n < 12; n++) {
    const session = { "x-claude-code-session-id": `session-${n}` };
    for (const engine of engines) engine.next({ headers: { "content-type": "text/event-stream" }, steps: HELLO });
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
