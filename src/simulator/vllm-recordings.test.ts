/** The simulated engine against what a live vLLM 0.32.0 answered to the same requests, byte for byte but for ids and times. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { chat, send, simulate } from "../../test/support/simulator.ts";
import type { SimulatorOptions } from "./options.ts";
import type { Turn } from "./script.ts";

type Recording = {
  method: string;
  path: string;
  requestHeaders: Record<string, string>;
  requestBody: string | undefined;
  status: number;
  headers: [string, string][];
  body: string;
};

function recording(name: string): Recording {
  const text = readFileSync(new URL(`__fixtures__/vllm-0.32.0/${name}.txt`, import.meta.url), "utf8");
  const answerAt = text.indexOf("\n<<< ");
  const sent = text.slice(0, answerAt).split("\n");
  const [, method = "", path = ""] = sent[0]!.split(" ");
  const header = (line: string): [string, string] => [
    line.slice(4, line.indexOf(":")),
    line.slice(line.indexOf(":") + 2),
  ];
  const body = sent
    .filter((line) => !line.startsWith(">>> "))
    .join("\n")
    .trimEnd();
  const got = text.slice(answerAt + 1).split("\n");
  const end = got.findIndex((line, index) => index > 0 && !line.startsWith("<<< "));
  return {
    method,
    path,
    requestHeaders: Object.fromEntries(
      sent
        .filter((line) => line.startsWith(">>> "))
        .slice(1)
        .map(header),
    ),
    // The bad JSON of a recording ends with a space that its layout must keep.
    requestBody: body === "" ? undefined : path.includes("chat") && body.endsWith(",") ? `${body} ` : body,
    status: Number(got[0]!.split(" ")[1]),
    headers: got.slice(1, end).map(header),
    body: got
      .slice(end)
      .join("\n")
      .replace(/\n+### total[^]*$/, ""),
  };
}

/** Ids, times and fingerprints are an engine's own. */
function ownless(body: string): string {
  return body
    .trimEnd()
    .replaceAll(/"chatcmpl-(tool-)?[0-9a-f]{16}"/g, '"chatcmpl-$1ID"')
    .replaceAll(/"modelperm-[0-9a-f]{16}"/g, '"modelperm-ID"')
    .replaceAll(/"created":\d+/g, '"created":0')
    .replaceAll(/"root":"[^"]*"/g, '"root":""')
    .replaceAll(/vllm-0\.32\.0-[0-9a-f]{8}/g, "vllm-0.32.0-BUILD");
}

/** Token counts differ where the text was tokenized and not scripted in pieces. */
function countless(body: string): string {
  return ownless(body).replaceAll(/(_tokens":)\d+/g, "$1N");
}

function headerNames(headers: readonly [string, string][]): string[] {
  return headers.map(([name]) => name).filter((name) => name !== "connection" && name !== "keep-alive");
}

const ENGINE: SimulatorOptions = { model: "test-model", maxModelLen: 8192, blockSize: 128 };
const PARIS = { text: ["The", " capital", " of", " France", " is", " Paris", "."], promptTokens: 22 };
const FORCED: Turn = {
  calls: [{ name: "get_weather", arguments: ["{", '"', "city", '":', ' "', "Paris", '"', "}"] }],
  promptTokens: 174,
};
const THOUGHT: Turn = { reasoning: PARIS.text, promptTokens: 22 };
const NAMED: Turn = { calls: [{ name: "get_weather", arguments: '{"city": "Paris"}' }], promptTokens: 178 };

describe("answers", () => {
  test.each<[name: string, turn: Turn, same: (body: string) => string, options?: SimulatorOptions]>([
    ["oai-chat", PARIS, ownless],
    ["oai-chat-stream-nousage", PARIS, ownless],
    ["oai-chat-stream-usage", PARIS, ownless],
    ["oai-chat-stream-continuous", PARIS, ownless],
    ["oai-reqid", PARIS, ownless],
    ["oai-stop", PARIS, ownless],
    ["oai-tools-auto-forced", FORCED, countless],
    ["oai-tools-auto-forced-stream", FORCED, countless],
    ["oai-tools-named-strict", NAMED, countless],
    ["oai-tools-required-strict", NAMED, countless],
    ["reasoning/oai-chat", THOUGHT, ownless, { reasoning: true, requestIdHeaders: false }],
    ["reasoning/oai-chat-stream-nousage", THOUGHT, ownless, { reasoning: true, requestIdHeaders: false }],
    ["reasoning/oai-chat-stream-usage", THOUGHT, ownless, { reasoning: true, requestIdHeaders: false }],
    ["reasoning/oai-chat-stream-continuous", THOUGHT, ownless, { reasoning: true, requestIdHeaders: false }],
  ])("%s", async (name, turn, same, options) => {
    const recorded = recording(name);
    const simulator = await simulate({ ...ENGINE, ...options, script: () => turn });
    const answer = await chat(simulator, recorded.requestBody, recorded.requestHeaders).answer;
    expect(same(answer.text)).toBe(same(recorded.body));
    expect(answer.status).toBe(recorded.status);
    expect(headerNames(answer.headers)).toEqual(headerNames(recorded.headers));
    expect(answer.end).toBe("complete");
  });

  test("the request id is the client's own, as a header and in the answer's id", async () => {
    const recorded = recording("oai-reqid");
    const simulator = await simulate(ENGINE);
    const answer = await chat(simulator, recorded.requestBody, recorded.requestHeaders).answer;
    expect(Object.fromEntries(answer.headers)["x-request-id"]).toBe("my-req-123");
    expect(JSON.parse(answer.text)).toMatchObject({ id: "chatcmpl-my-req-123" });
  });

  test("raw text of a model is read by the engine's parsers, as the forced calls were", async () => {
    const recorded = recording("oai-tools-auto-forced");
    const simulator = await simulate(ENGINE);
    const { text } = await chat(simulator, recorded.requestBody).answer;
    const call = (body: string): unknown => JSON.parse(body).choices[0].message.tool_calls[0].function.name;
    expect(call(text)).toBe(call(recorded.body));
  });
});

describe("refusals and the rest", () => {
  test.each([
    "oai-err-badjson",
    "oai-err-missing-messages",
    "oai-err-model",
    "oai-err-maxtok-too-big",
    "oai-err-named-unknown-tool",
    "oai-err-temp",
    "oai-err-image",
    "oai-404-path",
    "oai-405",
    "oai-415",
    "get-health",
    "get-version",
    "get-models",
  ])("%s", async (name) => {
    const { path, method, requestHeaders, requestBody, ...recorded } = recording(name);
    const simulator = await simulate(ENGINE);
    const answer = await send(simulator.url + path, { method, headers: requestHeaders, body: requestBody }).answer;
    expect(ownless(answer.text)).toBe(ownless(recorded.body));
    expect(answer.status).toBe(recorded.status);
    expect(headerNames(answer.headers)).toEqual(headerNames(recorded.headers));
  });

  test.each(["oai-after-engine-death", "health-after-engine-death"])("%s", async (name) => {
    const { path, method, requestHeaders, requestBody, ...recorded } = recording(name);
    const simulator = await simulate(ENGINE);
    await simulator.die();
    const answer = await send(simulator.url + path, { method, headers: requestHeaders, body: requestBody }).answer;
    expect([answer.status, answer.text]).toEqual([recorded.status, recorded.body]);
    await simulator.revive();
    expect((await send(`${simulator.url}/health`, { method: "GET" }).answer).status).toBe(200);
  });

  test("tokenize-chat-tools has the same fields", async () => {
    const recorded = recording("tokenize-chat-tools");
    const simulator = await simulate(ENGINE);
    const { text } = await send(`${simulator.url}/tokenize`, { body: recorded.requestBody }).answer;
    const [mine, theirs] = [JSON.parse(text), JSON.parse(recorded.body)];
    expect(Object.keys(mine)).toEqual(Object.keys(theirs));
    expect(mine).toMatchObject({ max_model_len: 8192, count: mine.tokens.length, token_strs: null });
    // The stand-in counts English about as a real tokenizer does.
    expect(Math.abs(mine.count / theirs.count - 1)).toBeLessThan(0.25);
  });

  test("a prompt beyond the window is refused with a floor, never with its length", async () => {
    const simulator = await simulate({ ...ENGINE, maxModelLen: 100 });
    const messages = [{ role: "user", content: "hello world ".repeat(60) }];
    const answer = await chat(simulator, { model: "test-model", messages, max_tokens: 32 }).answer;
    expect(answer.status).toBe(400);
    expect(answer.text).toBe(
      `{"error":{"message":"This model's maximum context length is 100 tokens. However, your prompt contains at least 101 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=101)","type":"BadRequestError","param":"input_tokens","code":400}}`,
    );
  });

  test("a text far beyond the window is refused by its characters", async () => {
    const simulator = await simulate({ ...ENGINE, maxModelLen: 100 });
    const messages = [{ role: "user", content: "hello world ".repeat(1000) }];
    const { text } = await chat(simulator, { messages }).answer;
    expect(JSON.parse(text).error).toMatchObject({ param: "input_text", code: 400 });
    expect(JSON.parse(text).error.message).toMatch(
      /contains 12\d{3} characters \(more than 1600 characters, which is the upper/,
    );
  });

  test.each<[what: string, body: object, options: SimulatorOptions, status: number, message: string]>([
    [
      "auto without a parser",
      { tools: true },
      { tools: false },
      400,
      '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    ],
    [
      "required without a parser",
      { tools: true, tool_choice: "required" },
      { tools: false },
      400,
      'tool_choice="required" requires --tool-call-parser to be set',
    ],
    [
      "a choice without tools",
      { tool_choice: "auto" },
      {},
      400,
      "When using `tool_choice`, `tools` must be set. (parameter=tool_choice)",
    ],
    [
      "stream options without a stream",
      { stream_options: {} },
      {},
      400,
      "Stream options can only be defined when `stream=True`. (parameter=stream_options)",
    ],
    [
      "no room for an answer",
      { max_tokens: 0 },
      {},
      400,
      "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)",
    ],
    [
      "no messages",
      { messages: [] },
      {},
      400,
      "Cannot apply chat template to an empty conversation. Provide at least one message.",
    ],
    ["top_p", { top_p: 3 }, {}, 400, "top_p must be in (0, 1], got 3.0. (parameter=top_p, value=3.0)"],
    [
      "messages of a wrong type",
      { messages: "x" },
      {},
      400,
      "1 validation error:\n  {'type': 'list_type', 'loc': 'body.messages', 'msg': 'Input should be a valid list', 'input': 'x'}",
    ],
    [
      "a late system message",
      {
        messages: [
          { role: "user", content: "a" },
          { role: "system", content: "b" },
        ],
      },
      { template: "refuses-late-system" },
      400,
      "System message must be at the beginning.",
    ],
  ])("%s", async (_, { tools, ...rest }: { tools?: true }, options, status, message) => {
    const simulator = await simulate({ ...ENGINE, ...options });
    const tool = { type: "function", function: { name: "a", parameters: { type: "object" } } };
    const messages = [{ role: "user", content: "hi" }];
    const answer = await chat(simulator, { model: "test-model", messages, ...(tools && { tools: [tool] }), ...rest })
      .answer;
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text).error.message).toBe(message);
    expect(simulator.counters).toMatchObject({ received: 1, refused: 1 });
  });

  test("metrics have vLLM's names and types", async () => {
    const known = readFileSync(new URL("__fixtures__/vllm-0.32.0/metric-types.txt", import.meta.url), "utf8").split(
      "\n",
    );
    const simulator = await simulate(ENGINE);
    const { text } = await send(`${simulator.url}/metrics`, { method: "GET" }).answer;
    const mine = text.split("\n").filter((line) => line.startsWith("# TYPE vllm:"));
    expect(mine.length).toBeGreaterThan(10);
    expect(known).toEqual(expect.arrayContaining(mine));
    expect(text).toContain('vllm:prefix_cache_hits_total{engine="0",model_name="test-model"} 0.0');
  });
});

test("every event is an HTTP chunk of its own, as from uvicorn, and the body ends with an empty one", async () => {
  const simulator = await simulate(ENGINE);
  simulator.next({ text: ["é", "b"] });
  const body = JSON.stringify({ messages: [{ role: "user", content: "hi" }], stream: true });
  const socket = connect(simulator.port, "127.0.0.1");
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\n\r\n${body}`,
  );
  const received: Buffer[] = [];
  for await (const part of socket) received.push(part as Buffer);
  let rest = Buffer.concat(received);
  rest = rest.subarray(rest.indexOf("\r\n\r\n") + 4);
  const chunks: string[] = [];
  while (rest.length > 0) {
    const start = rest.indexOf("\r\n") + 2;
    const end = start + Number.parseInt(rest.toString("latin1", 0, start), 16);
    chunks.push(rest.toString("utf8", start, end));
    expect(rest.toString("latin1", end, end + 2)).toBe("\r\n");
    rest = rest.subarray(end + 2);
  }
  expect(chunks.map((chunk) => /^data: [^\n]+\n\n$/.test(chunk))).toEqual([true, true, true, true, true, false]);
  expect(chunks[1]).toContain('{"content":"é"}');
  expect(chunks.slice(-2)).toEqual(["data: [DONE]\n\n", ""]);
});

test("running usage is given only to who asked for usage at all", async () => {
  const simulator = await simulate(ENGINE);
  const messages = [{ role: "user", content: "hi" }];
  const { text } = await chat(simulator, { messages, stream: true, stream_options: { continuous_usage_stats: true } })
    .answer;
  expect(text).not.toContain('"usage"');
});
