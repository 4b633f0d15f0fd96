/** Names finish reasons as OpenAI does. */
import type { FinishReason } from "../../conversation/stream-event.ts";

export type OpenAiFinishReason = "stop" | "length" | "tool_calls" | "function_call" | "content_filter";

/** `calls` is the name for an answer with tool calls; clients run them only under that name, whatever the engine said. */
export function finishReason(
  reason: FinishReason,
  calls: "tool_calls" | "function_call" | undefined,
): OpenAiFinishReason {
  if (reason === "content-filter") return "content_filter";
  // The last call is cut: named a call, a client would run half a command.
  if (reason === "length") return "length";
  // So is it in an answer that has calls and is not said to end with them.
  if (reason === "stop-sequence") return "stop";
  return calls ?? "stop";
}
