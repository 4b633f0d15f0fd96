/** Encodes errors as Anthropic's clients read them, in a body and in a stream. */
import type { WireError } from "../../conversation/codec.ts";
import { type GatewayError, retryHeaders } from "../../conversation/errors.ts";
import { limitReachedHeaders } from "./usage-limit-headers.ts";

export function encodeError(error: GatewayError, requestId: string): WireError {
  return {
    status: error.row.status,
    headers: {
      "content-type": "application/json",
      "request-id": requestId,
      ...retryHeaders(error),
      ...(error.cap !== undefined && limitReachedHeaders(error.cap)),
    },
    body: errorBody(error, requestId),
  };
}

/**
 * The event that ends a broken stream, as proper text.
 *
 * Its status was spent on a 200, so the message itself must say that trying again helps: OpenCode goes by words alone, and gives
 * the session up over a broken stream that has none of those it knows (decisions/0080-words-that-go-on.md).
 */
export function streamErrorBody(error: GatewayError, requestId: string): string {
  if (error.row.retry === "never") return errorBody(error, requestId);
  return envelope(error, `${error.message.replace(/\.$/, "")}; retry your request`, requestId);
}

function errorBody(error: GatewayError, requestId: string): string {
  return envelope(error, error.message, requestId);
}

function envelope(error: GatewayError, message: string, requestId: string): string {
  return JSON.stringify({
    type: "error",
    error: { type: error.row.anthropicType, message },
    request_id: requestId,
  });
}
