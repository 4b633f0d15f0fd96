/**
 * The canonical stream: what an engine answers, event by event. A stream ends in exactly one terminal event, `finish` or
 * `error`; a stream that was cut is an error, never a finish.
 */
import type { ByteText } from "./byte-text.ts";
import type { GatewayError } from "./errors.ts";

/** Why the model stopped. `stop-sequence` carries which one in the finish event. */
export type FinishReason = "stop" | "length" | "tool-calls" | "stop-sequence" | "content-filter";

export type FinishEvent = { type: "finish"; reason: FinishReason; stopSequence?: string };
export type ErrorEvent = { type: "error"; error: GatewayError };

/** `index` numbers the tool calls of one answer from 0; a call's deltas follow its start, before the next call's start. */
export type StreamEvent =
  | { type: "reasoning-delta"; text: ByteText }
  | { type: "text-delta"; text: ByteText }
  | { type: "tool-call-start"; index: number; id: string; name: string }
  | { type: "tool-call-delta"; index: number; arguments: ByteText }
  | FinishEvent
  | ErrorEvent;
