/** The official OpenAI SDK as the judge of what this wire writes. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI, { APIError, BadRequestError, InternalServerError, RateLimitError } from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { type Answer, AnswerFold } from "../../conversation/answer.ts";
import { toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { GatewayError } from "../../conversation/errors.ts";
import type { FinishEvent, StreamEvent } from "../../conversation/stream-event.ts";
import { UsageFold } from "../../conversation/usage.ts";
import { openaiChat } from "./codec.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** An SDK in front of a server that decodes each request with the codec and lets `answer` reply. */
async function client(answer: (res: ServerResponse, context: AnswerContext) => void): Promise<OpenAI> {
  const started = createServer((req, res) => {
    let body = "";
    req.setEncoding("utf8").on("data", (text: string) => (body += text));
    req.on("end", () => {
      const request = openaiChat.decode(body, req.headers);
      const usage = new UsageFold();
      usage.report({ prompt: 100, cached: 64, completion: 9, reasoning: 3 });
      answer(res, {
        requestId: "req_01",
        model: request.model,
        servedModel: request.model,
        created: 1,
        request,
        usage,
        signReasoning: () => "",
      });
    });
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  const baseURL = `http://127.0.0.1:${(started.address() as AddressInfo).port}/v1`;
  return new OpenAI({ baseURL, apiKey: "k", maxRetries: 0 });
}

/** Sends events as a stream, a ping before each, and ends as the gateway does: cleanly, or broken off after an error. */
function sendStream(res: ServerResponse, context: AnswerContext, events: readonly StreamEvent[]): void {
  const encoder = openaiChat.streamEncoder(context);
  res.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) res.write(encoder.ping() + encoder.encode(event), "latin1");
  if (events.at(-1)?.type === "finish") res.end();
  // Later, because fetch forgets unread bytes when the connection breaks; the gateway waits for the same reason.
  else setTimeout(() => res.socket?.destroySoon(), 50);
}

const streams = (events: readonly StreamEvent[]) => client((res, context) => sendStream(res, context, events));

const answers = (events: readonly StreamEvent[], finish: FinishEvent) =>
  client((res, context) => {
    const fold = new AnswerFold();
    for (const event of events) fold.add(event);
    const answer: Answer = { blocks: fold.blocks, finish };
    res.writeHead(200, { "content-type": "application/json" });
    res.end(openaiChat.encodeAnswer(answer, context), "latin1");
  });

const refuses = (error: GatewayError) =>
  client((res) => {
    const { status, headers, body } = openaiChat.encodeError(error, "req_01");
    res.writeHead(status, headers);
    res.end(body);
  });

const SAID: StreamEvent[] = [
  { type: "reasoning-delta", text: toByteText("Let me ") },
  { type: "reasoning-delta", text: toByteText("think…") },
  { type: "text-delta", text: toByteText("Grüße ") },
  { type: "text-delta", text: toByteText('🙂 \\ " \n') },
  { type: "tool-call-start", index: 0, id: "call_a", name: "read" },
  { type: "tool-call-delta", index: 0, arguments: toByteText('{"path":') },
  { type: "tool-call-delta", index: 0, arguments: toByteText('"ä.txt"}') },
  { type: "tool-call-start", index: 1, id: "call_b", name: "now" },
];
const CALLED: FinishEvent = { type: "finish", reason: "tool-calls" };

const MESSAGE = {
  role: "assistant",
  content: 'Grüße 🙂 \\ " \n',
  tool_calls: [
    { id: "call_a", type: "function", function: { name: "read", arguments: '{"path":"ä.txt"}' } },
    { id: "call_b", type: "function", function: { name: "now", arguments: "" } },
  ],
};
const USAGE = {
  prompt_tokens: 100,
  completion_tokens: 9,
  total_tokens: 109,
  prompt_tokens_details: { cached_tokens: 64 },
  completion_tokens_details: { reasoning_tokens: 3 },
};
const tool = (name: string) => ({ type: "function" as const, function: { name, parameters: { type: "object" } } });
const ASK = {
  model: "qwen3",
  messages: [{ role: "user" as const, content: "hi" }],
  tools: [tool("read"), tool("now")],
};

describe("the SDK", () => {
  it("reads a whole answer", async () => {
    const openai = await answers(SAID, CALLED);
    const completion = await openai.chat.completions.create(ASK);
    expect(completion).toMatchObject({ id: "chatcmpl-01", model: "qwen3", usage: USAGE });
    expect(completion.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { ...MESSAGE, reasoning_content: "Let me think…", reasoning: "Let me think…" },
    });
  });

  it("puts a stream together to the same answer", async () => {
    const openai = await streams([...SAID, CALLED]);
    const stream = openai.chat.completions.stream({ ...ASK, stream_options: { include_usage: true } });
    const deltas: string[] = [];
    stream.on("content", (delta) => deltas.push(delta));
    const completion = await stream.finalChatCompletion();
    expect(deltas).toEqual(["Grüße ", '🙂 \\ " \n']);
    expect(completion.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: MESSAGE });
    expect(await stream.totalUsage()).toMatchObject({ prompt_tokens: 100, completion_tokens: 9, total_tokens: 109 });
    expect(completion.usage).toEqual(USAGE);
  });

  it("iterates over chunks, reasoning under both names, and the usage chunk only when asked", async () => {
    const openai = await streams([...SAID, CALLED]);
    const reasoning: unknown[] = [];
    let chunks = 0;
    for await (const chunk of await openai.chat.completions.create({ ...ASK, stream: true })) {
      chunks++;
      expect(chunk).not.toHaveProperty("usage");
      const delta = chunk.choices[0]?.delta as { reasoning_content?: string; reasoning?: string } | undefined;
      if (delta?.reasoning !== undefined) reasoning.push(delta.reasoning, delta.reasoning_content);
    }
    expect(chunks).toBe(SAID.length + 2);
    expect(reasoning).toEqual(["Let me ", "Let me ", "think…", "think…"]);
  });

  it("runs its own tool loop on our calls", async () => {
    let turn = 0;
    const openai = await client((res, context) => {
      turn++;
      if (turn === 1) return sendStream(res, context, [...SAID.slice(4, 7), CALLED]);
      const [, call, result] = context.request.messages;
      expect(call?.content).toEqual([{ type: "tool-call", id: "call_a", name: "read", arguments: '{"path":"ä.txt"}' }]);
      expect(result?.content).toMatchObject([{ type: "tool-result", callId: "call_a", content: [{ text: "inhalt" }] }]);
      sendStream(res, context, [
        { type: "text-delta", text: toByteText("done") },
        { type: "finish", reason: "stop" },
      ]);
    });
    const paths: string[] = [];
    const runner = openai.chat.completions.runTools({
      model: "qwen3",
      stream: true,
      messages: [{ role: "user", content: "hi" }],
      tools: [
        {
          type: "function",
          function: {
            name: "read",
            description: "reads",
            parameters: { type: "object", properties: { path: { type: "string" } } },
            parse: JSON.parse as (input: string) => { path: string },
            function: ({ path }: { path: string }) => {
              paths.push(path);
              return "inhalt";
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe("done");
    expect(paths).toEqual(["ä.txt"]);
  });

  it.each<[string, StreamEvent[]]>([
    ["at once", []],
    ["in the middle", SAID],
  ])("throws on an error %s, with our words, and never takes it for an end", async (_when, before) => {
    const error = new GatewayError("engine_cut", "the engine's answer broke off; send the message again");
    const openai = await streams([...before, { type: "error", error }]);
    const thrown: unknown = await openai.chat.completions
      .stream(ASK)
      .finalChatCompletion()
      .catch((caught: unknown) => caught);
    expect(thrown).toBeInstanceOf(APIError);
    expect(thrown).toMatchObject({ code: "engine_cut", type: "server_error", message: error.message });
  });

  it("throws when a stream is cut without a word", async () => {
    const openai = await client((res, context) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write(openaiChat.streamEncoder(context).encode(SAID[2]!), "latin1");
      res.socket?.destroySoon();
    });
    await expect(openai.chat.completions.stream(ASK).finalChatCompletion()).rejects.toThrow(
      /terminated|Connection error/,
    );
  });

  it("maps errors to its classes, with code, param and request id", async () => {
    const tooLong = new GatewayError("prompt_too_long", "too long", { param: "messages" });
    await expect((await refuses(tooLong)).chat.completions.create(ASK)).rejects.toSatisfy(
      (error: unknown) =>
        error instanceof BadRequestError &&
        error.code === "context_length_exceeded" &&
        error.param === "messages" &&
        error.requestID === "req_01",
    );
    await expect(
      (await refuses(new GatewayError("rate_limited", "slow down"))).chat.completions.create(ASK),
    ).rejects.toBeInstanceOf(RateLimitError);
    await expect(
      (await refuses(new GatewayError("engine_unreachable", "down"))).chat.completions.create(ASK),
    ).rejects.toSatisfy((error: unknown) => error instanceof InternalServerError && error.status === 503);
  });

  it.each<[ErrorExample, number]>([
    [["rate_limited", 0.01], 2],
    [["unknown_key", undefined], 1],
    [["invalid_request", undefined], 1],
  ])("after %j asks %i times", async ([code, retryAfter], times) => {
    let asked = 0;
    const openai = await client((res) => {
      asked++;
      const { status, headers, body } = openaiChat.encodeError(new GatewayError(code, "no", { retryAfter }), "req_01");
      res.writeHead(status, headers);
      res.end(body);
    });
    await expect(openai.chat.completions.create(ASK, { maxRetries: 1 })).rejects.toBeInstanceOf(APIError);
    expect(asked).toBe(times);
  });
});

type ErrorExample = [code: "rate_limited" | "unknown_key" | "invalid_request", retryAfter: number | undefined];
