/** Writes errors in OpenAI's envelope, for a response of their own and for the middle of a stream. */
import type { WireError } from "../../conversation/codec.ts";
import { type GatewayError, retryHeaders } from "../../conversation/errors.ts";
import { openaiMessage } from "./overflow-wording.ts";

/** Proper text (not bytes). */
export function errorEnvelope(error: GatewayError): string {
  const { openaiType, openaiCode } = error.row;
  const message = openaiMessage(error);
  return JSON.stringify({ error: { message, type: openaiType, param: error.param ?? null, code: openaiCode } });
}

export function encodeError(error: GatewayError, requestId: string): WireError {
  const { status, openaiStatus } = error.row;
  return {
    status: openaiStatus ?? status,
    headers: {
      "content-type": "application/json",
      "request-id": requestId,
      "x-request-id": requestId,
      ...retryHeaders(error),
    },
    body: errorEnvelope(error),
  };
}
