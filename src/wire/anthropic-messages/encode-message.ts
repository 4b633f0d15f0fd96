/** Writes the parts of Anthropic's message object that streamed and whole answers share, as JSON bytes. */
import { type ByteText, asByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import type { FinishEvent } from "../../conversation/stream-event.ts";
import type { Usage } from "../../conversation/usage.ts";
import { jsonText } from "../sse-frame.ts";
import { stopReason } from "./stop-reason.ts";

/** The fields before `content`: `"id":…,"type":"message","role":"assistant","model":…`. */
export function messageHead(context: AnswerContext): ByteText {
  const id = jsonText(`msg_${context.requestId.replace(/^req_/, "")}`);
  return asByteText(`"id":${id},"type":"message","role":"assistant","model":${jsonText(context.model)}`);
}

/** `"stop_reason":…,"stop_sequence":…,"stop_details":…` of a finished answer. */
export function stopFields(finish: FinishEvent, hasToolUse: boolean): ByteText {
  const reason = stopReason(finish, hasToolUse);
  const sequence =
    reason === "stop_sequence" && finish.stopSequence !== undefined ? jsonText(finish.stopSequence) : "null";
  const details =
    reason === "refusal" ? '{"type":"refusal","category":null,"explanation":"the engine filtered the answer"}' : "null";
  return asByteText(`"stop_reason":"${reason}","stop_sequence":${sequence},"stop_details":${details}`);
}

/** The usage object. Anthropic's input_tokens exclude cached ones; the three input figures add up to the prompt. */
export function usageJson(usage: Usage): ByteText {
  const details = usage.reasoning > 0 ? `,"output_tokens_details":{"thinking_tokens":${usage.reasoning}}` : "";
  return asByteText(
    `{"input_tokens":${usage.inputUncached},"cache_creation_input_tokens":${usage.cacheWrite},` +
      `"cache_read_input_tokens":${usage.cacheRead},"output_tokens":${usage.output}${details}}`,
  );
}
