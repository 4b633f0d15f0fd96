/** `POST /v1/messages/count_tokens`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { toGatewayError } from "../conversation/errors.ts";
import { sendError } from "../gateway/answer-sink.ts";
import { countTokens } from "../gateway/count-tokens.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { Reply } from "../gateway/reply.ts";
import { newRequestId } from "../gateway/request-id.ts";
import type { AnthropicMessagesCodec } from "../wire/anthropic-messages/codec.ts";

export async function handleCountTokens(
  gateway: Gateway,
  codec: AnthropicMessagesCodec,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const requestId = newRequestId();
  const reply = new Reply(req, res, () => {});
  try {
    const { tokens, exact } = await countTokens(
      gateway,
      (body, headers) => codec.decodeCountTokens(body, headers),
      req,
    );
    const headers = {
      "content-type": "application/json",
      "request-id": requestId,
      "x-evener-count": exact ? "exact" : "estimate",
    };
    reply.send(200, headers, codec.encodeCountTokens(tokens));
  } catch (thrown) {
    const error = toGatewayError(thrown);
    gateway.observer.refused(requestId, codec.name, error);
    sendError(codec, requestId, reply, error);
  }
}
