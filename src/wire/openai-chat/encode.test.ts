import * as fc from "fast-check";
import type OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { AnswerFold } from "../../conversation/answer.ts";
import { asByteText, type ByteText, fromByteText, toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { ERROR_TABLE, type ErrorCode, GatewayError } from "../../conversation/errors.ts";
import type { FinishEvent, FinishReason, StreamEvent } from "../../conversation/stream-event.ts";
import { UsageFold } from "../../conversation/usage.ts";
import { openaiChat } from "./codec.ts";

type Chunk = OpenAI.ChatCompletionChunk;

function context(body: Record<string, unknown> = {}): AnswerContext {
  const usage = new UsageFold();
  usage.report({ prompt: 1_000, cached: 896, completion: 42, reasoning: 7 });
  const request = openaiChat.decode(
    JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }], ...body }),
    {},
  );
  return {
    requestId: "req_01",
    model: "modèle",
    servedModel: "modèle",
    created: 1_795_360_337,
    request,
    usage,
    signReasoning: () => "",
  };
}

const USAGE_CHUNK = { stream_options: { include_usage: true } };
const LEGACY = { functions: [{ name: "f", parameters: {} }] };

const text = (value: string): StreamEvent => ({ type: "text-delta", text: toByteText(value) });
const reasoning = (value: string): StreamEvent => ({ type: "reasoning-delta", text: toByteText(value) });
const call = (index: number, id: string, name: string): StreamEvent => ({ type: "tool-call-start", index, id, name });
const args = (index: number, value: string): StreamEvent => ({
  type: "tool-call-delta",
  index,
  arguments: toByteText(value),
});
const finish = (reason: FinishReason): FinishEvent => ({ type: "finish", reason });

function encode(events: StreamEvent[], ctx = context()): string {
  const encoder = openaiChat.streamEncoder(ctx);
  return fromByteText(asByteText(events.map((event) => encoder.encode(event)).join("")));
}

/** The data of each event; anything that is not a well-formed `data:` event fails. */
function dataOf(stream: string): string[] {
  expect(stream.endsWith("\n\n")).toBe(true);
  const events = stream.slice(0, -2).split("\n\n");
  expect(events.filter((event) => !/^data: [^\n]+$/.test(event))).toEqual([]);
  return events.map((event) => event.slice("data: ".length));
}

function chunksOf(stream: string): Chunk[] {
  const data = dataOf(stream);
  expect(data.at(-1)).toBe("[DONE]");
  return data.slice(0, -1).map((line) => JSON.parse(line) as Chunk);
}

describe("streams", () => {
  it("are OpenAI's, byte for byte", () => {
    const head = `data: {"id":"chatcmpl-01","object":"chat.completion.chunk","created":1795360337,"model":"modèle","choices":[`;
    const chunk = (delta: string, reason = "null"): string =>
      `${head}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}]}\n\n`;
    expect(
      encode([
        reasoning("hm"),
        text("né"),
        call(0, "c0", "f"),
        args(0, '{"n":12345678901234567890}'),
        finish("tool-calls"),
      ]),
    ).toBe(
      chunk('{"role":"assistant","content":""}') +
        chunk('{"reasoning_content":"hm","reasoning":"hm"}') +
        chunk('{"content":"né"}') +
        chunk('{"tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}]}') +
        chunk('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"n\\":12345678901234567890}"}}]}') +
        chunk("{}", '"tool_calls"') +
        "data: [DONE]\n\n",
    );
  });

  it("end in a usage chunk without choices where that was asked for, and have usage null until then", () => {
    const chunks = chunksOf(encode([text("a"), finish("stop")], context(USAGE_CHUNK)));
    expect(chunks.map((chunk) => chunk.usage)).toEqual([null, null, null, expect.anything()]);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 1_000,
        completion_tokens: 42,
        total_tokens: 1_042,
        prompt_tokens_details: { cached_tokens: 896 },
        completion_tokens_details: { reasoning_tokens: 7 },
      },
    });
    expect(encode([text("a"), finish("stop")])).not.toContain("usage");
  });

  it("say that the assistant speaks even when it says nothing", () => {
    const chunks = chunksOf(encode([finish("stop")]));
    expect(chunks.map((chunk) => chunk.choices[0])).toMatchObject([
      { delta: { role: "assistant", content: "" }, finish_reason: null },
      { delta: {}, finish_reason: "stop" },
    ]);
  });

  it.each<[StreamEvent[], FinishReason, string]>([
    [[text("a")], "stop", "stop"],
    [[text("a")], "stop-sequence", "stop"],
    [[text("a")], "length", "length"],
    [[text("a")], "content-filter", "content_filter"],
    [[text("a")], "tool-calls", "stop"],
    [[call(0, "c", "f")], "stop", "tool_calls"],
    [[call(0, "c", "f")], "tool-calls", "tool_calls"],
    [[call(0, "c", "f")], "length", "length"],
    [[call(0, "c", "f")], "stop-sequence", "stop"],
  ])("after %j a finish by %s is %s", (events, reason, expected) => {
    const chunks = chunksOf(encode([...events, finish(reason)]));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe(expected);
  });

  it("name the stop string that ended them", () => {
    const stream = encode([text("a"), { type: "finish", reason: "stop-sequence", stopSequence: "</é>" }]);
    expect(chunksOf(stream).at(-1)?.choices[0]).toMatchObject({ finish_reason: "stop", stop_reason: "</é>" });
  });

  it("break off after an error: no finish, no [DONE], nothing of its cause", () => {
    const error = new GatewayError("engine_cut", "the engine's answer broke off", { cause: new Error("secret") });
    const stream = encode([text("a"), { type: "error", error }]);
    const data = dataOf(stream);
    expect(JSON.parse(data.at(-1)!)).toEqual({
      error: { message: "the engine's answer broke off", type: "server_error", param: null, code: "engine_cut" },
    });
    expect(stream).not.toMatch(/\[DONE\]|"finish_reason":"|secret/);
    expect(dataOf(encode([{ type: "error", error }]))).toHaveLength(1);
  });

  it("show life with a comment, at any time", () => {
    const encoder = openaiChat.streamEncoder(context());
    expect(encoder.ping()).toBe(": ping\n\n");
    expect(encoder.encode(text("a"))).toContain('"role":"assistant"');
    expect(encoder.ping()).toBe(": ping\n\n");
  });

  it("keep an engine's call ids where they are new to the conversation", () => {
    const earlier = {
      role: "assistant",
      tool_calls: [{ id: "f:0", type: "function", function: { name: "f", arguments: "{}" } }],
    };
    const events = [call(0, "f:0", "f"), call(1, "f:1", "f"), call(2, "f:1", "f"), finish("tool-calls")];
    const chunks = chunksOf(encode(events, context({ messages: [earlier] })));
    const ids = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []).map((each) => each.id);
    expect(ids).toEqual(["call_req_01_0", "f:1", "call_req_01_2"]);
  });

  it("answer legacy functions in the legacy form, one call at most", () => {
    const events = [call(0, "c0", "f"), args(0, "{}"), call(1, "c1", "f"), args(1, "{}"), finish("tool-calls")];
    const chunks = chunksOf(encode(events, context(LEGACY)));
    expect(chunks.map((chunk) => chunk.choices[0]?.delta)).toEqual([
      { role: "assistant", content: "" },
      { function_call: { name: "f", arguments: "" } },
      { function_call: { arguments: "{}" } },
      {},
    ]);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("function_call");
  });
});

describe("whole answers", () => {
  const answer = (events: StreamEvent[], ctx = context()): OpenAI.ChatCompletion => {
    const fold = new AnswerFold();
    const last = events.at(-1) as FinishEvent;
    for (const event of events) fold.add(event);
    return JSON.parse(fromByteText(openaiChat.encodeAnswer({ blocks: fold.blocks, finish: last }, ctx)));
  };

  it("are chat.completion objects with usage", () => {
    expect(answer([reasoning("hm"), text("né"), finish("stop")])).toEqual({
      id: "chatcmpl-01",
      object: "chat.completion",
      created: 1_795_360_337,
      model: "modèle",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "né", refusal: null, reasoning_content: "hm", reasoning: "hm" },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: {
        prompt_tokens: 1_000,
        completion_tokens: 42,
        total_tokens: 1_042,
        prompt_tokens_details: { cached_tokens: 896 },
        completion_tokens_details: { reasoning_tokens: 7 },
      },
    });
  });

  it("have null content only beside calls", () => {
    const called = answer([call(0, "c0", "f"), args(0, "{}"), finish("stop")]);
    expect(called.choices[0]?.message).toEqual({
      role: "assistant",
      content: null,
      refusal: null,
      tool_calls: [{ id: "c0", type: "function", function: { name: "f", arguments: "{}" } }],
    });
    expect(answer([finish("length")]).choices[0]?.message.content).toBe("");
  });

  /** Puts chunks together as a client does. */
  const collect = (chunks: Chunk[]): object => {
    const message: Record<string, string | object | null | undefined> = { content: "" };
    const calls: { id: string; type: string; function: { name: string; arguments: string } }[] = [];
    let legacy: { name: string; arguments: string } | undefined;
    let last: string | null = null;
    for (const choice of chunks.flatMap((chunk) => chunk.choices)) {
      const { role, tool_calls: pieces, function_call: piece, ...texts } = choice.delta;
      if (role !== undefined) message["role"] = role;
      for (const [name, value] of Object.entries(texts as Record<string, string>)) {
        const before = message[name];
        message[name] = typeof before === "string" ? before + value : value;
      }
      for (const { index, ...more } of pieces ?? []) {
        if (more.id !== undefined) calls[index] = more as (typeof calls)[number];
        else calls[index]!.function.arguments += more.function?.arguments ?? "";
      }
      if (piece?.name !== undefined) legacy = { name: piece.name, arguments: piece.arguments ?? "" };
      else if (legacy !== undefined) legacy.arguments += piece?.arguments ?? "";
      last = choice.finish_reason ?? last;
    }
    if (calls.length > 0) message["tool_calls"] = calls;
    if (legacy !== undefined) message["function_call"] = legacy;
    if (message["content"] === "" && (calls.length > 0 || legacy !== undefined)) message["content"] = null;
    return { message: { ...message, refusal: null }, finish_reason: last, usage: chunks.at(-1)?.usage };
  };

  it("equal the collected stream", () => {
    const piece = fc.string({ unit: "binary", minLength: 1 });
    const prose = fc.oneof(piece.map(text), piece.map(reasoning));
    const toolCall = fc.tuple(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), fc.array(piece));
    const events = fc
      .tuple(
        fc.array(prose),
        fc.array(toolCall),
        fc.array(prose),
        fc.constantFrom<FinishReason>("stop", "length", "tool-calls", "stop-sequence", "content-filter"),
      )
      .map(([before, calls, after, reason]): StreamEvent[] => {
        const called = calls.flatMap(([id, name, pieces], i) => [
          call(i, id, name),
          ...pieces.map((each) => args(i, each)),
        ]);
        return before.concat(called, after, finish(reason));
      });
    const form = fc.constantFrom(USAGE_CHUNK, { ...USAGE_CHUNK, ...LEGACY });
    fc.assert(
      fc.property(events, form, (list, body) => {
        const whole = answer(list, context(body));
        const { message, finish_reason } = whole.choices[0]!;
        const collected = collect(chunksOf(encode(list, context(body))));
        expect(collected).toEqual({ message, finish_reason, usage: whole.usage });
      }),
      { numRuns: 200 },
    );
  });

  it("carry bytes that are no UTF-8, or half of it, unchanged", () => {
    const half: ByteText = asByteText("\xc3");
    const encoder = openaiChat.streamEncoder(context());
    const stream =
      encoder.encode({ type: "text-delta", text: half }) +
      encoder.encode({ type: "text-delta", text: asByteText("\xa9") });
    expect(stream).toContain('{"content":"\xc3"}');
    expect(stream).toContain('{"content":"\xa9"}');
  });
});

describe("errors", () => {
  it.each(Object.keys(ERROR_TABLE) as ErrorCode[])("%s has its status, its envelope and its advice", (code) => {
    const row = ERROR_TABLE[code];
    const status = "openaiStatus" in row ? row.openaiStatus : row.status;
    const { headers, body, ...rest } = openaiChat.encodeError(
      new GatewayError(code, "what; what to do", { param: "p" }),
      "req_01",
    );
    expect(rest).toEqual({ status });
    expect(JSON.parse(body)).toEqual({
      error: { message: "what; what to do", type: row.openaiType, param: "p", code: row.openaiCode },
    });
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "request-id": "req_01",
      "x-request-id": "req_01",
    });
    expect(headers["x-should-retry"]).toBe(row.retry === "never" ? "false" : undefined);
    expect(headers["retry-after"]).toBe(typeof row.retry === "number" ? String(row.retry) : undefined);
  });

  it("have no time to wait for where waiting is of no use", () => {
    const spent = new GatewayError("budget_exceeded", "spent until tomorrow", { retryAfter: 40_000 });
    const { headers } = openaiChat.encodeError(spent, "req_01");
    expect(headers).not.toHaveProperty("retry-after");
    expect(headers).toMatchObject({ "x-should-retry": "false" });
    const busy = new GatewayError("rate_limited", "busy", { retryAfter: 7 });
    expect(openaiChat.encodeError(busy, "req_01").headers).toMatchObject({ "retry-after": "7" });
  });

  it.each([
    [
      "prompt is too long: 200123 tokens > 131072 maximum",
      "This model's maximum context length is 131072 tokens. However, your messages resulted in 200123 tokens. Please reduce the length of the messages.",
    ],
    [
      "input length and `max_tokens` exceed context limit: 131000 + 500 > 131072, decrease input length or `max_tokens`",
      "This model's maximum context length is 131072 tokens. However, you requested 131500 tokens (131000 in the messages, 500 in the completion). Please reduce the length of the messages or completion.",
    ],
    ["some other words", "some other words"],
  ])("word %j as OpenAI does", (message, expected) => {
    const { body } = openaiChat.encodeError(new GatewayError("prompt_too_long", message), "req_01");
    expect(JSON.parse(body)).toMatchObject({ error: { message: expected, code: "context_length_exceeded" } });
  });

  it("never have a number for a code: Qwen Code takes 429 and 503 in a stream for a reason to wait minutes", () => {
    for (const row of Object.values(ERROR_TABLE)) expect(Number(row.openaiCode ?? "none")).toBeNaN();
  });
});
