/** The Anthropic Messages wire: puts the decoder and the encoders together. */
import { type ByteText, asByteText } from "../../conversation/byte-text.ts";
import type { RequestHeaders, WireCodec } from "../../conversation/codec.ts";
import type { ChatRequest } from "../../conversation/request.ts";
import type { VerifySignature } from "./decode-context.ts";
import { decodeCountTokens, decodeRequest } from "./decode-request.ts";
import { encodeAnswer } from "./encode-answer.ts";
import { encodeError } from "./encode-error.ts";
import { createStreamEncoder } from "./encode-stream.ts";
import { usageLimitHeaders } from "./usage-limit-headers.ts";

export type AnthropicMessagesCodec = WireCodec & {
  /** Decodes `POST /v1/messages/count_tokens`. Throws what `decode` throws. */
  decodeCountTokens(body: string, headers: RequestHeaders): ChatRequest;
  /** The body of the 200 that answers it. */
  encodeCountTokens(tokens: number): ByteText;
};

/** `verifySignature` tells this gateway's thinking blocks from others'; see signature.ts. */
export function createAnthropicMessages(options: { verifySignature: VerifySignature }): AnthropicMessagesCodec {
  const { verifySignature } = options;
  return {
    name: "anthropic-messages",
    decode: (body, headers) => decodeRequest(body, headers, verifySignature),
    decodeCountTokens: (body, headers) => decodeCountTokens(body, headers, verifySignature),
    encodeCountTokens: (tokens) => asByteText(`{"input_tokens":${tokens}}`),
    streamEncoder: createStreamEncoder,
    errorIsLastEvent: false,
    encodeAnswer,
    encodeError,
    usageLimitHeaders,
  };
}
