/** The official OpenAI SDK as the judge of what this wire writes. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as fc from "fast-check";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { AnswerFold } from "../../conversation/answer.ts";
import { toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { GatewayError } from "../../conversation/errors.ts";
import type { FinishEvent, FinishReason, StreamEvent } from "../../conversation/stream-event.ts";
import { UsageFold } from "../../conversation/usage.ts";
import { openaiResponses } from "./codec.ts";
import { unpackReasoning } from "./reasoning-carrier.ts";

type Responses = OpenAI.Responses.Response;
type Script = { events: StreamEvent[]; end: StreamEvent };

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** An SDK in front of a server that answers each request with the script, streamed or whole as it asks. */
async function client(script: () => Script): Promise<OpenAI> {
  const started = createServer((req, res) => {
    let body = "";
    req.setEncoding("utf8").on("data", (text: string) => (body += text));
    req.on("end", () => {
      const request = openaiResponses.decode(body, req.headers);
      const usage = new UsageFold();
      usage.report({ prompt: 100, cached: 64, completion: 9, reasoning: 3 });
      const { model, stream } = request;
      const context = {
        requestId: "req_01",
        model,
        servedModel: model,
        created: 1,
        request,
        usage,
        signReasoning: () => "",
      };
      (stream ? sendStream : sendWhole)(res, context, script());
    });
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  const baseURL = `http://127.0.0.1:${(started.address() as AddressInfo).port}/v1`;
  return new OpenAI({ baseURL, apiKey: "k", maxRetries: 0 });
}

/** Pings before each event, the first included; ends as the gateway does: properly, also after an error. */
function sendStream(res: ServerResponse, context: AnswerContext, { events, end }: Script): void {
  const encoder = openaiResponses.streamEncoder(context);
  res.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of [...events, end]) res.write(encoder.ping() + encoder.encode(event), "latin1");
  res.end();
}

function sendWhole(res: ServerResponse, context: AnswerContext, { events, end }: Script): void {
  const fold = new AnswerFold();
  for (const event of events) fold.add(event);
  res.writeHead(200, { "content-type": "application/json" });
  res.end(openaiResponses.encodeAnswer({ blocks: fold.blocks, finish: end as FinishEvent }, context), "latin1");
}

const call = (index: number, name: string, ...pieces: string[]): StreamEvent[] => [
  { type: "tool-call-start", index, id: `call_${index}`, name },
  ...pieces.map((piece): StreamEvent => ({ type: "tool-call-delta", index, arguments: toByteText(piece) })),
];
const text = (words: string): StreamEvent => ({ type: "text-delta", text: toByteText(words) });
const reasoning = (words: string): StreamEvent => ({ type: "reasoning-delta", text: toByteText(words) });
const finish = (reason: FinishReason): FinishEvent => ({ type: "finish", reason });

const SAID: StreamEvent[] = [
  reasoning("Let me "),
  reasoning("think…"),
  text("Grüße "),
  text('🙂 \\ " \n'),
  ...call(0, "read", '{"path":', '"ä.txt"}'),
  ...call(1, "patch", '{"input":"*** ', 'Bégin\\n"}'),
  ...call(2, "find", "{}"),
  ...call(3, "tool_search", '{"query":\n', '"wétter"}'),
];
const OUTPUT = [
  {
    type: "reasoning",
    id: "rs_01_0",
    status: "completed",
    summary: [],
    content: [{ type: "reasoning_text", text: "Let me think…" }],
  },
  {
    type: "message",
    id: "msg_01_1",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: 'Grüße 🙂 \\ " \n', annotations: [] }],
  },
  {
    type: "function_call",
    id: "fc_01_2",
    status: "completed",
    call_id: "call_0",
    name: "read",
    arguments: '{"path":"ä.txt"}',
  },
  { type: "custom_tool_call", id: "ctc_01_3", call_id: "call_1", name: "patch", input: "*** Bégin\n" },
  { type: "function_call", id: "fc_01_4", call_id: "call_2", name: "find", namespace: "crm", arguments: "{}" },
  {
    type: "tool_search_call",
    id: "tsc_01_5",
    status: "completed",
    execution: "client",
    call_id: "call_3",
    arguments: { query: "wétter" },
  },
];
const fn = (name: string) => ({ type: "function" as const, name, parameters: { type: "object" }, strict: false });
const ASK = {
  model: "qwen3",
  input: "hi",
  tools: [
    fn("read"),
    { type: "custom" as const, name: "patch" },
    { type: "namespace" as const, name: "crm", description: "", tools: [fn("find")] },
    { type: "tool_search" as const, execution: "client" as const, description: "finds tools", parameters: {} },
  ],
};

const whole = (openai: OpenAI): Promise<Responses> => openai.responses.create(ASK);
const streamed = (openai: OpenAI): Promise<Responses> => openai.responses.stream(ASK).finalResponse();

/** Without what the SDK's helpers add of their own. */
function plain(response: Responses): unknown {
  return JSON.parse(JSON.stringify(response), (key, value: unknown) =>
    key === "output_parsed" ||
    key === "parsed" ||
    key === "parsed_arguments" ||
    key === "_request_id" ||
    key === "output_text"
      ? undefined
      : value,
  );
}

describe("the SDK", () => {
  it.each([
    ["a whole answer", whole],
    ["a stream", streamed],
  ])("reads text, reasoning and every kind of call from %s", async (_form, ask) => {
    const response = await ask(await client(() => ({ events: SAID, end: finish("tool-calls") })));
    expect(response).toMatchObject({
      id: "resp_01",
      object: "response",
      status: "completed",
      error: null,
      incomplete_details: null,
      model: "qwen3",
      store: false,
      tools: ASK.tools,
      output: OUTPUT,
      usage: {
        input_tokens: 100,
        input_tokens_details: { cached_tokens: 64 },
        output_tokens: 9,
        output_tokens_details: { reasoning_tokens: 3 },
        total_tokens: 109,
      },
    });
    expect(response.output_text).toBe('Grüße 🙂 \\ " \n');
  });

  it("gets the official events in order, numbered without a gap", async () => {
    const openai = await client(() => ({ events: SAID, end: finish("tool-calls") }));
    const types: string[] = [];
    let next = 0;
    for await (const event of await openai.responses.create({ ...ASK, stream: true })) {
      expect((event as { sequence_number: number }).sequence_number).toBe(next++);
      const type: string = event.type;
      if (type !== "keepalive") types.push(type.replace(/^response\./, ""));
    }
    expect(types.join(" ")).toBe(
      "created in_progress " +
        "output_item.added content_part.added reasoning_text.delta reasoning_text.delta reasoning_text.done content_part.done output_item.done " +
        "output_item.added content_part.added output_text.delta output_text.delta output_text.done content_part.done output_item.done " +
        "output_item.added function_call_arguments.delta function_call_arguments.delta function_call_arguments.done output_item.done " +
        "output_item.added custom_tool_call_input.delta custom_tool_call_input.done output_item.done " +
        "output_item.added function_call_arguments.delta function_call_arguments.done output_item.done " +
        "output_item.added output_item.done completed",
    );
  });

  it("ends incomplete at the token limit, and no cut call is ever done", async () => {
    const events = [text("so"), ...call(0, "read", '{"path":"/')];
    const openai = await client(() => ({ events, end: finish("length") }));
    const stream = openai.responses.stream(ASK);
    const done: string[] = [];
    stream.on("event", (event) => {
      if (event.type === "response.output_item.done") done.push(event.item.type);
    });
    expect(await stream.finalResponse()).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [{ status: "completed" }, { type: "function_call", status: "incomplete", arguments: '{"path":"/' }],
    });
    expect(done).toEqual(["message"]);
  });

  it("ends incomplete when the content was filtered", async () => {
    const openai = await client(() => ({ events: [], end: finish("content-filter") }));
    for (const response of [await whole(openai), await streamed(openai)])
      expect(response).toMatchObject({ status: "incomplete", incomplete_details: { reason: "content_filter" } });
  });

  it.each<[string, StreamEvent[]]>([
    ["at once", []],
    ["in the middle of a call", SAID.slice(0, 6)],
  ])("is told of an error %s as a failed response, never a completed one", async (_when, events) => {
    const error = new GatewayError("engine_cut", "the engine's answer broke off; send the message again");
    const openai = await client(() => ({ events, end: { type: "error", error } }));
    const seen: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of await openai.responses.create({ ...ASK, stream: true })) seen.push(event);
    expect(seen.at(-1)).toMatchObject({
      type: "response.failed",
      response: { status: "failed", error: { code: "server_error", message: error.message } },
    });
    expect(seen.filter((event) => event.type === "response.output_item.done")).toHaveLength(events.length > 0 ? 2 : 0);
  });

  it.each([
    ["wait", { retryAfter: 12.2 }, "wait. Please try again in 13s."],
    ["Wait a bit.", {}, "Wait a bit. Please try again in 1s."],
  ])("is told in the message how long a rate limit lasts: %s %j", async (words, options, message) => {
    const end: StreamEvent = { type: "error", error: new GatewayError("rate_limited", words, options) };
    const openai = await client(() => ({ events: [], end }));
    expect(await streamed(openai)).toMatchObject({ status: "failed", error: { code: "rate_limit_exceeded", message } });
  });

  it("can send reasoning back unread", async () => {
    const openai = await client(() => ({ events: SAID, end: finish("tool-calls") }));
    const { output } = await openai.responses.create({ ...ASK, include: ["reasoning.encrypted_content"] });
    const [item] = output;
    expect(item?.type === "reasoning" && unpackReasoning(item.encrypted_content)).toBe("Let me think…");
  });

  it("puts any stream together to the whole answer of the same events", async () => {
    const openai = await client(() => script);
    let script: Script = { events: [], end: finish("stop") };
    const words = fc.string({ unit: "binary", maxLength: 8, minLength: 1 });
    const piece = fc.oneof(
      fc.record({ kind: fc.constant("text"), words: fc.array(words, { minLength: 1, maxLength: 3 }) }),
      fc.record({ kind: fc.constant("reasoning"), words: fc.array(words, { minLength: 1, maxLength: 3 }) }),
      fc.record({
        kind: fc.constantFrom("read", "patch", "find", "tool_search", "other"),
        words: fc.array(words, { maxLength: 3 }),
      }),
    );
    const reason = fc.constantFrom<FinishReason>("stop", "length", "tool-calls", "content-filter", "stop-sequence");
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 5 }), reason, async (pieces, why) => {
        let calls = 0;
        const events = pieces.flatMap(({ kind, words: all }) => {
          if (kind === "text") return all.map(text);
          return kind === "reasoning" ? all.map(reasoning) : call(calls++, kind, ...all);
        });
        script = { events, end: finish(why) };
        expect(plain(await streamed(openai))).toEqual(plain(await whole(openai)));
      }),
      { numRuns: 60 },
    );
  });
});
