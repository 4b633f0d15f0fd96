/** What engines' finish reasons mean. */
import type { FinishReason } from "../conversation/stream-event.ts";

const REASONS: Readonly<Record<string, FinishReason | "failed">> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter",
  // vLLM cut a loop of repeated tokens: the answer is not complete.
  repetition: "length",
  // Text Generation Inference.
  eos_token: "stop",
  stop_sequence: "stop",
  // vLLM and SGLang: the request was ended from outside, or failed inside.
  abort: "failed",
  error: "failed",
};

/** `failed` is no finish at all; undefined is a reason that nobody has documented. */
export function finishReason(reason: string): FinishReason | "failed" | undefined {
  return Object.hasOwn(REASONS, reason) ? REASONS[reason] : undefined;
}
