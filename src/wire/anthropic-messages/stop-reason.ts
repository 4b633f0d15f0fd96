/** Maps a finish to Anthropic's stop reason. */
import type { FinishEvent } from "../../conversation/stream-event.ts";

export type StopReason = "end_turn" | "max_tokens" | "stop_sequence" | "tool_use" | "refusal";

/**
 * Clients run tools only on `tool_use`, so what the answer holds decides, not the engine's word: vLLM ends a call of a
 * named tool with `stop`, and an engine that promised calls may have sent none.
 */
export function stopReason(finish: FinishEvent, hasToolUse: boolean): StopReason {
  if (finish.reason === "length") return "max_tokens";
  if (finish.reason === "stop-sequence") return "stop_sequence";
  if (finish.reason === "content-filter") return "refusal";
  return hasToolUse ? "tool_use" : "end_turn";
}
