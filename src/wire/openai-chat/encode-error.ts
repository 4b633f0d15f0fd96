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

/**
 * Without `retry-after` where trying again is of no use before somebody has done something: Codex sits and waits for it, until a budget's
 * reset if it must, and does not know `x-should-retry`. The message says until when.
 */
export function encodeError(error: GatewayError, requestId: string): WireError {
  const { status, openaiStatus } = error.row;
  const { "retry-after": after, ...retry } = retryHeaders(error);
  return {
    status: openaiStatus ?? status,
    headers: {
      "content-type": "application/json",
      "request-id": requestId,
      "x-request-id": requestId,
      ...retry,
      ...(after !== undefined && retry["x-should-retry"] === undefined && { "retry-after": after }),
    },
    body: errorEnvelope(error),
  };
}
