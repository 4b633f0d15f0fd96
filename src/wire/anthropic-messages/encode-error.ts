/** Encodes errors as Anthropic's clients read them, in a body and in a stream. */
import type { WireError } from "../../conversation/codec.ts";
import { type GatewayError, retryHeaders } from "../../conversation/errors.ts";

export function encodeError(error: GatewayError, requestId: string): WireError {
  return {
    status: error.row.status,
    headers: { "content-type": "application/json", "request-id": requestId, ...retryHeaders(error) },
    body: errorBody(error, requestId),
  };
}

/** The error envelope, as proper text. */
export function errorBody(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    type: "error",
    error: { type: error.row.anthropicType, message: error.message },
    request_id: requestId,
  });
}
