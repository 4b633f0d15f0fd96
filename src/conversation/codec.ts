/** What a wire must know how to do. One implementation a wire, under wire/; the gateway knows only this. */
import type { Answer } from "./answer.ts";
import type { ByteText } from "./byte-text.ts";
import type { GatewayError } from "./errors.ts";
import type { ChatRequest } from "./request.ts";
import type { SpendCap } from "./spend-cap.ts";
import type { StreamEvent } from "./stream-event.ts";
import type { UsageFold } from "./usage.ts";

/** Request headers as node:http gives them, names in lower case. */
export type RequestHeaders = { readonly [name: string]: string | string[] | undefined };

/** What an encoder needs to know of the request that it answers. */
export type AnswerContext = {
  /** The gateway's request id, e.g. `req_…`; answers derive their own ids from it. */
  requestId: string;
  /** The model name that the client used. */
  model: string;
  /** The id of the model that answers. */
  servedModel: string;
  /** Start of the request, Unix seconds. */
  created: number;
  request: ChatRequest;
  /** Running usage; when the first event comes it already holds the prompt tokens, at the finish the final figures. */
  usage: UsageFold;
  /** Signs a model's reasoning with this gateway's key, so that it can be told from others' when it comes back. */
  signReasoning(text: ByteText, model: string): string;
};

/** Encodes one streamed answer. Every method returns bytes ready for the socket, possibly none. */
export interface StreamEncoder {
  /** Exactly one terminal event ends the stream; nothing may follow it. */
  encode(event: StreamEvent): ByteText;
  /** Something harmless that shows life while the engine is silent; also valid before the first event. */
  ping(): ByteText;
}

export type WireError = { status: number; headers: Record<string, string>; body: string };

export interface WireCodec {
  readonly name: "anthropic-messages" | "openai-chat" | "openai-responses";
  /** Decodes a request body (proper text). Throws GatewayError `invalid_json` or `invalid_request`, never anything else. */
  decode(body: string, headers: RequestHeaders): ChatRequest;
  streamEncoder(context: AnswerContext): StreamEncoder;
  /**
   * Whether an error is a last event of the wire's own, which no client takes for a finish: its stream then ends properly, and the
   * connection is not broken off behind it (decisions/0123-failed-responses-end-properly.md).
   */
  readonly errorIsLastEvent: boolean;
  /** Encodes a whole answer as the body of a 200. */
  encodeAnswer(answer: Answer, context: AnswerContext): ByteText;
  encodeError(error: GatewayError, requestId: string): WireError;
  /** The headers in which the wire's clients read how far a budget is spent; undefined where they read none. */
  usageLimitHeaders?(cap: SpendCap): Record<string, string>;
}
