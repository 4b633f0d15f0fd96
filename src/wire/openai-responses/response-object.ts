/** Writes response objects: the frame around the output items, in each state that a response passes through. */
import { type ByteText, asByteText, toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { type GatewayError, retryHeaders } from "../../conversation/errors.ts";
import type { FinishReason } from "../../conversation/stream-event.ts";
import type { UsageFold } from "../../conversation/usage.ts";
import { openaiMessage } from "../openai-chat/overflow-wording.ts";
import { jsonText } from "../sse-frame.ts";

export type ResponseState =
  | { status: "in_progress" }
  | { status: "completed" }
  | { status: "incomplete"; reason: "max_output_tokens" | "content_filter" }
  | { status: "failed"; error: GatewayError };

/** How an answer that the engine finished ends on this wire. */
export function finalState(reason: FinishReason): ResponseState {
  if (reason === "length") return { status: "incomplete", reason: "max_output_tokens" };
  if (reason === "content-filter") return { status: "incomplete", reason: "content_filter" };
  return { status: "completed" };
}

/** Writes one response in any state; what never changes is made once. `items` are JSON, in order. */
export function responseWriter(context: AnswerContext): (state: ResponseState, items: readonly string[]) => ByteText {
  const id = `resp_${plainRequestId(context.requestId)}`;
  const head = `{"id":${jsonText(id)},"object":"response","created_at":${context.created},"background":false,`;
  const echo = context.request.answerForm?.responses?.echo;
  const tail = `,"model":${jsonText(context.model)}${echo === undefined ? "" : `,${toByteText(echo)}`}`;
  return (state, items) => {
    const error = state.status === "failed" ? failure(state.error) : "null";
    const details = state.status === "incomplete" ? `{"reason":"${state.reason}"}` : "null";
    const usage = state.status === "in_progress" ? "null" : encodeUsage(context.usage);
    return asByteText(
      `${head}"status":"${state.status}","error":${error},"incomplete_details":${details}${tail},` +
        `"output":[${items.join(",")}],"usage":${usage}}`,
    );
  };
}

/** The part of the request id that item and response ids are made of. */
export function plainRequestId(requestId: string): string {
  return requestId.startsWith("req_") ? requestId.slice("req_".length) : requestId;
}

/**
 * Codes are those of OpenAI's response errors, which clients act on: all that is the server's own doing is one. A stream that has begun has
 * no more headers, so how long to wait for a rate limit stands in the message, in OpenAI's words: Codex reads them.
 */
function failure(error: GatewayError): ByteText {
  const { openaiType, openaiCode } = error.row;
  const code = openaiType === "server_error" ? openaiType : (openaiCode ?? "invalid_prompt");
  const message = openaiMessage(error);
  const seconds = code === "rate_limit_exceeded" ? retryHeaders(error)["retry-after"] : undefined;
  const told = seconds === undefined ? message : message.replace(/\.?$/, `. Please try again in ${seconds}s.`);
  return toByteText(JSON.stringify({ code, message: told }));
}

function encodeUsage(fold: UsageFold): string {
  const { cacheRead, output, reasoning } = fold.usage;
  const { prompt } = fold;
  return (
    `{"input_tokens":${prompt},"input_tokens_details":{"cached_tokens":${cacheRead}},"output_tokens":${output},` +
    `"output_tokens_details":{"reasoning_tokens":${reasoning}},"total_tokens":${prompt + output}}`
  );
}
