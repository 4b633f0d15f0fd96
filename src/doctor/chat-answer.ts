/** A chat answer as the doctor judges it: what came as text, as reasoning and as calls, whether it was streamed or came whole. */
import type { JsonObject } from "../conversation/request.ts";
import { type Fields, asFields, asList, asText, jsonAnswer } from "../engine/json-fields.ts";
import { SseReader } from "../engine/sse-reader.ts";
import { readTimings, readUsage } from "../engine/usage-report.ts";
import type { UsageReport } from "../conversation/usage.ts";
import { type AskEngine, wordsOf } from "./ask-engine.ts";

export type AnsweredCall = { name: string; arguments: string };

export type ChatAnswer = {
  kind: "answer";
  content: string;
  reasoning: string;
  calls: AnsweredCall[];
  finish: string | undefined;
  usage: UsageReport | undefined;
  /** Chunks that carried something, and how many of them had usage. A whole answer has none. */
  chunks: number;
  chunksWithUsage: number;
};

/** `words`: the engine's own, or what is wrong with its answer. */
export type Refused = { kind: "refused"; status: number; words: string };

/** Asks for a chat, streamed where the body says so. Rejects with a `GatewayError` where no answer comes. */
export async function askChat(ask: AskEngine, body: JsonObject): Promise<ChatAnswer | Refused> {
  const reply = await ask("/v1/chat/completions", body);
  if (reply.status !== 200) return { kind: "refused", status: reply.status, words: wordsOf(reply) };
  const answer = body["stream"] === true ? readStream(reply.text) : readWhole(reply.text);
  return typeof answer === "string" ? { kind: "refused", status: reply.status, words: answer } : answer;
}

/** Text says what is wrong with it. */
export function readWhole(text: string): ChatAnswer | string {
  const completion = jsonAnswer({ status: 200, text });
  const [choice] = asList(completion?.["choices"]);
  const message = asFields(choice?.["message"]);
  if (choice === undefined || message === undefined) return "it answered with something that is no chat completion";
  return {
    ...empty(),
    content: asText(message["content"]) ?? "",
    reasoning: reasoningOf(message),
    calls: asList(message["tool_calls"]).map((call) => callOf(call)),
    finish: asText(choice["finish_reason"]),
    usage: readUsage(completion?.["usage"]),
  };
}

/** Text says what is wrong with it: an error in the stream, or a stream that has no end. */
export function readStream(text: string): ChatAnswer | string {
  const answer: ChatAnswer = empty();
  const places = new Map<unknown, AnsweredCall>();
  let problem: string | undefined;
  let done = false;
  const reader = new SseReader(
    {
      onEvent(data) {
        if (data === "[DONE]") done = true;
        else problem ??= readChunk(data, answer, places);
      },
      onJunk: (line) => (problem ??= `the stream has a line that is no event: ${line.slice(0, 80)}`),
      onTooLong: () => (problem ??= "the stream has an event of more than a megabyte"),
    },
    1_000_000,
  );
  reader.push(text);
  reader.end();
  answer.calls.push(...places.values());
  if (problem === undefined && !done && answer.finish === undefined) return "the stream broke off";
  return problem ?? answer;
}

function readChunk(data: string, answer: ChatAnswer, places: Map<unknown, AnsweredCall>): string | undefined {
  const chunk = jsonAnswer({ status: 200, text: data });
  if (chunk === undefined) return "the stream has an event that is no JSON object";
  if (chunk["error"] !== undefined) return `an error in the stream, ${wordsOf({ status: 200, text: data })}`;
  const usage = readUsage(chunk["usage"]) ?? readTimings(chunk["timings"]);
  if (usage !== undefined) answer.usage = usage;
  const [choice] = asList(chunk["choices"]);
  if (choice === undefined) return undefined;
  const delta = asFields(choice["delta"]) ?? {};
  const content = asText(delta["content"]) ?? "";
  const reasoning = reasoningOf(delta);
  const calls = asList(delta["tool_calls"]);
  answer.content += content;
  answer.reasoning += reasoning;
  for (const call of calls) {
    const piece = callOf(call);
    const known = places.get(call["index"] ?? 0);
    if (known === undefined) places.set(call["index"] ?? 0, piece);
    else {
      known.name += piece.name;
      known.arguments += piece.arguments;
    }
  }
  answer.finish = asText(choice["finish_reason"]) ?? answer.finish;
  if (content !== "" || reasoning !== "" || calls.length > 0) {
    answer.chunks++;
    if (usage !== undefined) answer.chunksWithUsage++;
  }
  return undefined;
}

function empty(): ChatAnswer {
  return {
    kind: "answer",
    content: "",
    reasoning: "",
    calls: [],
    finish: undefined,
    usage: undefined,
    chunks: 0,
    chunksWithUsage: 0,
  };
}

/** Under either of the names that engines give it. */
function reasoningOf(message: Fields): string {
  return asText(message["reasoning"]) ?? asText(message["reasoning_content"]) ?? "";
}

function callOf(call: Fields): AnsweredCall {
  const called = asFields(call["function"]);
  // Some engines write the arguments as an object, which clients cannot read; as text it does not parse as what was asked.
  return { name: asText(called?.["name"]) ?? "", arguments: asText(called?.["arguments"]) ?? "" };
}
