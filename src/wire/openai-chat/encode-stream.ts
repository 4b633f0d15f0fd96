/**
 * Writes a streamed answer as chat.completion.chunk events.
 *
 * All that is the same in every chunk is made once a stream; a delta costs two concatenations and one JSON.stringify.
 * After an error nothing follows, no `[DONE]` either: see decisions/0035-openai-stream-errors.md.
 */
import { asByteText, type ByteText, toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext, StreamEncoder } from "../../conversation/codec.ts";
import type { FinishEvent, StreamEvent } from "../../conversation/stream-event.ts";
import { jsonText } from "../sse-frame.ts";
import { callIds } from "./call-ids.ts";
import { completionId } from "./completion-id.ts";
import { errorEnvelope } from "./encode-error.ts";
import { finishReason } from "./finish-reason.ts";
import { encodeUsage } from "./usage.ts";

const PING = asByteText(": ping\n\n");
const NOTHING = asByteText("");

export function streamEncoder(context: AnswerContext): StreamEncoder {
  const form = context.request.answerForm;
  const usageChunk = form?.usageChunk === true;
  const write = form?.legacyFunctionCall === true ? legacyCall : currentCall;
  const { head, open, close } = frame(context, usageChunk);
  const callId = callIds(context);
  let started = false;
  let called = false;

  const delta = (body: string): ByteText => {
    const chunk = `${open}${body}${close}`;
    if (started) return asByteText(chunk);
    started = true;
    return asByteText(`${open}{"role":"assistant","content":""}${close}${chunk}`);
  };

  const finish = (event: FinishEvent): ByteText => {
    const reason = finishReason(event.reason, called ? write.finishReason : undefined);
    const usage = usageChunk ? `${head}"choices":[],"usage":${encodeUsage(context.usage)}}\n\n` : "";
    const first = started ? "" : `${open}{"role":"assistant","content":""}${close}`;
    const last = `${head}"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"${reason}"${stopReason(event)}}]`;
    return asByteText(`${first}${last}${usageChunk ? ',"usage":null' : ""}}\n\n${usage}data: [DONE]\n\n`);
  };

  return {
    ping: () => PING,
    encode(event: StreamEvent): ByteText {
      switch (event.type) {
        case "text-delta":
          return delta(`{"content":${JSON.stringify(event.text)}}`);
        case "reasoning-delta": {
          // Clients read one name or the other (DeepSeek's and vLLM's): both, and none has to know.
          const text = JSON.stringify(event.text);
          return delta(`{"reasoning_content":${text},"reasoning":${text}}`);
        }
        case "tool-call-start": {
          called = true;
          const id = jsonText(callId(event.id, event.index));
          const body = write.start(event.index, id, jsonText(event.name));
          return body === undefined ? NOTHING : delta(body);
        }
        case "tool-call-delta": {
          const body = write.arguments(event.index, JSON.stringify(event.arguments));
          return body === undefined ? NOTHING : delta(body);
        }
        case "finish":
          return finish(event);
        default:
          return toByteText(`data: ${errorEnvelope(event.error)}\n\n`);
      }
    },
  };
}

/** What every chunk starts with, and what stands before and after its delta. */
function frame(context: AnswerContext, usageChunk: boolean): { head: string; open: string; close: string } {
  const id = jsonText(completionId(context.requestId));
  const model = jsonText(context.model);
  const head = `data: {"id":${id},"object":"chat.completion.chunk","created":${context.created},"model":${model},`;
  const open = `${head}"choices":[{"index":0,"delta":`;
  // OpenAI: with include_usage every chunk has the field, null until the last.
  const close = `,"logprobs":null,"finish_reason":null}]${usageChunk ? ',"usage":null' : ""}}\n\n`;
  return { head, open, close };
}

/** Which stop string ended the answer, as vLLM adds it; OpenAI's own schema has no place for it. */
function stopReason(event: FinishEvent): string {
  return event.stopSequence === undefined ? "" : `,"stop_reason":${jsonText(event.stopSequence)}`;
}

/** How calls are written: the delta's body, from values that are JSON already. Undefined where there is no room for one. */
type CallForm = {
  finishReason: "tool_calls" | "function_call";
  start(index: number, id: string, name: string): string | undefined;
  arguments(index: number, text: string): string | undefined;
};

const currentCall: CallForm = {
  finishReason: "tool_calls",
  start: (index, id, name) =>
    `{"tool_calls":[{"index":${index},"id":${id},"type":"function","function":{"name":${name},"arguments":""}}]}`,
  arguments: (index, text) => `{"tool_calls":[{"index":${index},"function":{"arguments":${text}}}]}`,
};

/** The legacy form has one call an answer; the request asked the engine for no more (parallelToolCalls). */
const legacyCall: CallForm = {
  finishReason: "function_call",
  start: (index, _id, name) => (index === 0 ? `{"function_call":{"name":${name},"arguments":""}}` : undefined),
  arguments: (index, text) => (index === 0 ? `{"function_call":{"arguments":${text}}}` : undefined),
};
