/** Builds streams for the decoder's tests. */
import { type ByteText, fromByteText } from "../../conversation/byte-text.ts";
import type { StreamEvent } from "../../conversation/stream-event.ts";
import { UsageFold } from "../../conversation/usage.ts";
import { ChatStreamDecoder } from "../chat-stream-decoder.ts";

type Delta = Record<string, unknown>;

export const sse = (value: unknown) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
export const chunk = (delta: Delta, more: object = {}) => sse({ choices: [{ index: 0, delta, ...more }] });
export const calls = (...toolCalls: unknown[]) => chunk({ tool_calls: toolCalls });
export const finish = (reason: string, more: object = {}) => chunk({}, { finish_reason: reason, ...more });
export const DONE = "data: [DONE]\n\n";

/** An event in a form that is easy to read and compare: text as proper text, errors by their code. */
export type Plain = [string, ...unknown[]];

export function plain(event: StreamEvent): Plain {
  const text = (bytes: ByteText) => fromByteText(bytes);
  switch (event.type) {
    case "reasoning-delta":
      return ["reasoning", text(event.text)];
    case "text-delta":
      return ["text", text(event.text)];
    case "tool-call-start":
      return ["call", event.index, event.id, event.name];
    case "tool-call-delta":
      return ["args", event.index, text(event.arguments)];
    case "finish":
      return event.stopSequence === undefined ? ["finish", event.reason] : ["finish", event.reason, event.stopSequence];
    case "error":
      return ["error", event.error.code, event.error.message];
  }
}

export function decode(stream: string | Buffer | readonly (string | Buffer)[]): { events: Plain[]; usage: UsageFold } {
  const pieces = typeof stream === "string" || Buffer.isBuffer(stream) ? [stream] : stream;
  const usage = new UsageFold();
  const decoder = new ChatStreamDecoder(usage);
  const events = pieces.flatMap((piece) => decoder.push(Buffer.from(piece)));
  events.push(...decoder.end());
  return { events: events.map(plain), usage };
}
