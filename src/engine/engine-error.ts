/** What an engine's refusal means in the error table: every engine's statuses and wordings, and those of proxies. */
import { type Concession, GatewayError } from "../conversation/errors.ts";
import { cleanEngineText } from "./engine-text.ts";
import { type ErrorBody, readErrorText, readErrorValue } from "./error-body.ts";
import { type Overflow, overflowError, readOverflow } from "./overflow.ts";
import type { ResponseHeaders } from "./http1/response-head.ts";

/** What the gateway knows of the request that failed. Figures are tokens. */
export type EngineErrorContext = {
  /** The model's name as it was sent to the engine. */
  model: string;
  contextWindow?: number | undefined;
  /** The `max_tokens` that the client asked for; the engine may have been sent less. */
  maxTokens?: number | undefined;
};

/** An hour: longer waits are no longer a matter of trying again. */
const LONGEST_RETRY_AFTER_S = 3_600;

/** With which statuses engines say that a prompt does not fit; a 429 or 503 that speaks of tokens is about load. */
const OVERFLOW_STATUSES = new Set([400, 413, 422, 500]);

/** The error of an answer whose status is not 2xx. */
export function engineError(
  status: number,
  headers: ResponseHeaders,
  bodyText: string,
  context: EngineErrorContext,
): GatewayError {
  return classify(status, readErrorText(bodyText), retryAfter(headers["retry-after"]), context);
}

/** The error that an engine put into a stream that had begun with 200; `value` is the event's parsed JSON. */
export function engineStreamError(value: unknown, context: EngineErrorContext): GatewayError {
  const body = readErrorValue(value);
  return classify(body.status ?? 500, body, undefined, context);
}

function classify(
  status: number,
  body: ErrorBody,
  wait: number | undefined,
  context: EngineErrorContext,
): GatewayError {
  const said = cleanEngineText(body.message);
  const withReason = (sentence: string) => (said === "" ? sentence : `${sentence}: ${said}`);

  if (isFullCache(body))
    return new GatewayError("engine_overloaded", withReason("the engine is overloaded or not ready"), {
      retryAfter: wait,
    });
  const overflow = OVERFLOW_STATUSES.has(status) ? overflowOf(body) : undefined;
  const tooLong = overflow === undefined ? undefined : tooLongError(overflow, withReason, context);
  if (tooLong !== undefined) return tooLong;
  switch (status) {
    case 401:
    case 403:
      return new GatewayError(
        "engine_misconfigured",
        `the engine does not accept the gateway's API key (it answered ${status}); ` +
          "whoever runs the gateway must set this engine's key in its configuration",
      );
    case 404:
    case 405:
    case 410:
      if (isAboutModel(body)) break;
      return new GatewayError(
        "engine_misconfigured",
        `the engine has no chat completions endpoint (it answered ${status})`,
      );
    case 413:
      return new GatewayError("body_too_large", "the engine, or a proxy before it, takes no request of this size");
    case 408:
    case 503:
    case 529:
      return new GatewayError("engine_overloaded", withReason("the engine is overloaded or not ready"), {
        retryAfter: wait,
      });
    case 429:
      return new GatewayError("rate_limited", withReason("the engine asks to wait"), { retryAfter: wait });
  }
  if (isAboutModel(body)) return new GatewayError("model_not_found", `the engine does not serve "${context.model}"`);
  const concession = concessionOf(status, body.message);
  if ((status >= 400 && status < 500) || concession !== undefined || isRefusalAsFailure(status, body))
    return new GatewayError("engine_refused", withReason("the engine refused the request"), {
      ...(body.param !== undefined && { param: body.param }),
      concession,
    });
  if (status >= 500)
    return new GatewayError("engine_failed", withReason(`the engine failed (${status})`), {
      retryAfter: wait,
      concession: isWordless(body) ? "constraint" : undefined,
    });
  return new GatewayError("engine_failed", `the engine answered with status ${status}, which is no answer to a chat`);
}

function isAboutModel(body: ErrorBody): boolean {
  if (body.code === "model_not_found" || body.type === "model_not_found") return true;
  return /^(the )?model\b.{0,200}(not found|does not exist|not loaded)|^No models? (is )?loaded/is.test(
    body.message.slice(0, 1_000),
  );
}

/** What vLLM 0.32 says without `--tool-call-parser`, for each way to ask for tools; recorded. */
const NO_TOOL_PARSER = /\brequires\b.{0,60}--tool-call-parser/;
/**
 * vLLM, by its backends ("Grammar error: …", "Invalid grammar specification: …", "Invalid structural tag specification.", "… features not
 * supported by xgrammar", "Failed to transform json schema into a …", "Regex uses unsupported feature …") and SGLang; llama.cpp and what is built
 * on it ("… failed to parse grammar", "JSON schema conversion failed: …", "… JSON schema error at #: …", "Pattern must start with …", some with 500).
 */
const NO_GRAMMAR =
  /grammar|structural tag|json schema (into|conversion|error)|^regex uses unsupported|pattern must start with/i;

/** All that vLLM says when the compiling of a grammar failed, in a stream too; recorded from 0.32. */
export const WORDLESS = "Internal server error";

function isWordless(body: ErrorBody): boolean {
  return body.type === "InternalServerError" && body.message === WORDLESS;
}

function concessionOf(status: number, message: string): Concession | undefined {
  if (status !== 400 && status !== 422 && status !== 500) return undefined;
  const said = message.slice(0, 2_000);
  if (NO_TOOL_PARSER.test(said)) return "tool-parser";
  return NO_GRAMMAR.test(said) ? "schema-keywords" : undefined;
}

/**
 * llama.cpp, where its slots share one cache (`--kv-unified`, the default without `--parallel`): together they have filled it, and every answer under
 * way ends so, however short its prompt. Recorded from two prompts of 250 tokens in a window of 512.
 */
function isFullCache(body: ErrorBody): boolean {
  return body.type === "server_error" && body.message === "Context size has been exceeded.";
}

/** llama.cpp says 500 or 501 of requests that it will never take; tried again, they only fail again. */
function isRefusalAsFailure(status: number, body: ErrorBody): boolean {
  if (status === 501 && body.type === "not_supported_error") return true;
  return (
    status === 500 &&
    body.type === "server_error" &&
    /^(image|audio|video) input is not supported|^Multimodal data provided, but|^Failed to (load|download) image|^Invalid base64 value|^Unsupported param: |^(tools|tool_choice) param requires --jinja|^Cannot use both json_schema and grammar/.test(
      body.message,
    )
  );
}

function overflowOf(body: ErrorBody): Overflow | undefined {
  if (body.promptTokens !== undefined && body.window !== undefined)
    return { prompt: body.promptTokens, window: body.window };
  const read = readOverflow(body.message.slice(0, 2_000));
  if (read !== undefined) return read;
  return body.code === "context_length_exceeded" || body.type === "exceed_context_size_error" ? {} : undefined;
}

/** Undefined when the numbers that the client needs are not to be had; the engine's own words serve better then. */
function tooLongError(
  overflow: Overflow,
  withReason: (sentence: string) => string,
  context: EngineErrorContext,
): GatewayError | undefined {
  const window = overflow.window ?? context.contextWindow;
  if (window === undefined) return undefined;
  const { prompt, floor } = overflow;
  // The prompt's size, without which there is no telling the client what to ask for, is found out by whoever fits the request anew.
  if (overflow.outputOnly && prompt === undefined)
    return new GatewayError("prompt_too_long", withReason("the engine refused the request"), {
      param: "max_tokens",
      overflow: { window },
    });
  return overflowError({ window, prompt, floor }, prompt, overflow.maxTokens ?? context.maxTokens);
}

/** Seconds to wait by a `retry-after` header (seconds or an HTTP date), between 1 and an hour. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  const value = Array.isArray(header) ? header[0] : header;
  if (value === undefined) return undefined;
  const seconds = /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1_000;
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_RETRY_AFTER_S);
}
