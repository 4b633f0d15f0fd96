/** Gives the tests a codec with a known secret, and short ways to decode. */
import type { RequestHeaders } from "../../../conversation/codec.ts";
import { GatewayError } from "../../../conversation/errors.ts";
import type { ChatRequest, Message } from "../../../conversation/request.ts";
import { createAnthropicMessages } from "../codec.ts";
import { signer } from "./answer.ts";

export const codec = createAnthropicMessages({ verifySignature: signer.verify });

/** Decodes a smallest request with `change` in it. */
export function decoded(change: Record<string, unknown>, headers: RequestHeaders = {}): ChatRequest {
  return codec.decode(JSON.stringify(smallest(change)), headers);
}

export function messages(...list: unknown[]): Message[] {
  return decoded({ messages: list }).messages;
}

/** The content of a user message with these blocks. */
export function userContent(...blocks: unknown[]): Message["content"] {
  return messages({ role: "user", content: blocks })[0]!.content;
}

/** How decoding is refused; fails when it is not, or by anything but a GatewayError. */
export function refusal(change: Record<string, unknown>): GatewayError {
  try {
    decoded(change);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

function smallest(change: Record<string, unknown>): Record<string, unknown> {
  return { model: "m", max_tokens: 10, messages: [{ role: "user", content: "hi" }], ...change };
}
