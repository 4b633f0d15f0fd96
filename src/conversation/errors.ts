/**
 * The one error table: every way in which a request can fail, what each wire calls it, and whether trying again helps.
 *
 * Statuses and types are what the clients act on (Claude Code, the official SDKs); see docs/errors.md, generated from
 * this table. Messages are written for the person at the terminal: what is wrong, and what to do.
 */

import type { SpendCap } from "./spend-cap.ts";

type Row = {
  /** HTTP status on the Anthropic wire and, unless `openaiStatus` differs, on OpenAI's. */
  status: number;
  openaiStatus?: number;
  anthropicType: string;
  openaiType: string;
  openaiCode: string | null;
  /**
   * `never`: waiting will not mend it (sent as `x-should-retry: false`; without it Claude Code retries a 401 for more than
   * a minute). A number: `retry-after` in seconds, when the error itself knows none. `client`: the client decides.
   */
  retry: "never" | "client" | number;
  /** When it happens, for the reference in docs/. */
  when: string;
};

export const ERROR_TABLE = {
  invalid_json: {
    status: 400,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: "invalid_json",
    retry: "never",
    when: "The body is not valid JSON.",
  },
  invalid_request: {
    status: 400,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: null,
    retry: "never",
    when: "The body is valid JSON, but not a valid request.",
  },
  conflicting_credentials: {
    status: 400,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: "conflicting_credentials",
    retry: "never",
    when: "`Authorization` and `x-api-key` carry different keys.",
  },
  missing_credentials: {
    status: 401,
    anthropicType: "authentication_error",
    openaiType: "invalid_request_error",
    openaiCode: "missing_api_key",
    retry: "never",
    when: "No key was sent.",
  },
  unknown_key: {
    status: 401,
    anthropicType: "authentication_error",
    openaiType: "invalid_request_error",
    openaiCode: "invalid_api_key",
    retry: "never",
    when: "The key is not one of this gateway's, was revoked, or has expired.",
  },
  forbidden: {
    status: 403,
    anthropicType: "permission_error",
    openaiType: "invalid_request_error",
    openaiCode: "forbidden",
    retry: "never",
    when: "The key may not do this.",
  },
  model_not_found: {
    status: 404,
    anthropicType: "not_found_error",
    openaiType: "invalid_request_error",
    openaiCode: "model_not_found",
    retry: "never",
    when: "No engine serves a model of that name; the message lists those that are served.",
  },
  not_found: {
    status: 404,
    anthropicType: "not_found_error",
    openaiType: "invalid_request_error",
    openaiCode: "not_found",
    retry: "never",
    when: "There is no such path or object.",
  },
  already_exists: {
    // Not 409: the official SDKs try that again.
    status: 400,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: "already_exists",
    retry: "never",
    when: "There is one of that name already.",
  },
  method_not_allowed: {
    status: 405,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: "method_not_allowed",
    retry: "never",
    when: "The path exists, but not for this method.",
  },
  body_too_large: {
    status: 413,
    anthropicType: "request_too_large",
    openaiType: "invalid_request_error",
    openaiCode: "request_too_large",
    retry: "never",
    when: "The body is larger than `limits.body_bytes`.",
  },
  prompt_too_long: {
    status: 400,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: "context_length_exceeded",
    retry: "never",
    when: "The prompt does not fit the model's window. Claude Code compacts and goes on.",
  },
  engine_refused: {
    status: 400,
    anthropicType: "invalid_request_error",
    openaiType: "invalid_request_error",
    openaiCode: "engine_refused",
    retry: "never",
    when: "The engine refused the request as invalid; its own words follow.",
  },
  not_supported: {
    status: 501,
    anthropicType: "not_supported",
    openaiType: "invalid_request_error",
    openaiCode: "not_supported",
    retry: "never",
    when: "The gateway cannot do this with this engine.",
  },
  rate_limited: {
    status: 429,
    anthropicType: "rate_limit_error",
    openaiType: "rate_limit_error",
    openaiCode: "rate_limit_exceeded",
    retry: 1,
    when: "The engine, or a limit of this gateway, asks to wait.",
  },
  model_not_allowed: {
    status: 403,
    anthropicType: "permission_error",
    openaiType: "invalid_request_error",
    openaiCode: "model_not_allowed",
    retry: "never",
    when: "The key may not use this model; the message lists those that it may.",
  },
  budget_exceeded: {
    status: 429,
    openaiStatus: 402,
    anthropicType: "billing_error",
    openaiType: "insufficient_quota",
    openaiCode: "insufficient_quota",
    retry: "never",
    when: "A budget of the tenant or the key is spent; the message says until when.",
  },
  insufficient_credit: {
    status: 429,
    openaiStatus: 402,
    anthropicType: "billing_error",
    openaiType: "insufficient_quota",
    openaiCode: "insufficient_quota",
    retry: "never",
    when: "The tenant's credit, or the limit of its account, does not cover the request.",
  },
  engine_unreachable: {
    status: 529,
    openaiStatus: 503,
    anthropicType: "overloaded_error",
    openaiType: "server_error",
    openaiCode: "engine_unreachable",
    retry: 5,
    when: "No engine that serves the model can be reached.",
  },
  engine_overloaded: {
    status: 529,
    openaiStatus: 503,
    anthropicType: "overloaded_error",
    openaiType: "server_error",
    openaiCode: "engine_overloaded",
    retry: 5,
    when: "The engine answers that it is overloaded or not ready.",
  },
  engine_failed: {
    status: 502,
    anthropicType: "api_error",
    openaiType: "server_error",
    openaiCode: "engine_failed",
    retry: "client",
    when: "The engine failed with an error of its own, or answered something that is not its protocol.",
  },
  engine_misconfigured: {
    status: 502,
    anthropicType: "api_error",
    openaiType: "server_error",
    openaiCode: "engine_misconfigured",
    retry: "never",
    when: "The engine does not accept the gateway's key, or has no chat completions: for whoever runs the gateway to mend.",
  },
  engine_cut: {
    status: 502,
    anthropicType: "api_error",
    openaiType: "server_error",
    openaiCode: "engine_cut",
    retry: "client",
    when: "The engine's answer broke off before its end.",
  },
  engine_timeout: {
    status: 504,
    anthropicType: "timeout_error",
    openaiType: "server_error",
    openaiCode: "engine_timeout",
    retry: "client",
    when: "The engine was silent for longer than `timeouts` allow.",
  },
  store_unavailable: {
    status: 503,
    anthropicType: "api_error",
    openaiType: "server_error",
    openaiCode: "store_unavailable",
    retry: 5,
    when: "The database cannot be reached.",
  },
  shutting_down: {
    status: 503,
    anthropicType: "overloaded_error",
    openaiType: "server_error",
    openaiCode: "shutting_down",
    retry: 2,
    when: "The gateway is stopping: new requests are refused, and answers that outlast `timeouts.drain_ms` end with it.",
  },
  internal: {
    status: 500,
    anthropicType: "api_error",
    openaiType: "server_error",
    openaiCode: "internal_error",
    retry: "client",
    when: "A fault of the gateway's own; its log has the request id.",
  },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** What an engine said when a request did not fit its window; figures are tokens. */
export type SaidOverflow = {
  readonly window: number;
  /** The prompt's size; `floor`: a size that it only reaches or exceeds. */
  readonly prompt?: number | undefined;
  readonly floor?: number | undefined;
};

/**
 * What an engine would take the request without. `tool-parser`: it cannot read calls out of the model's text. `schema-keywords`: it cannot
 * make a grammar of what a schema demands. `constraint`: it failed without a word, as one does that cannot hold an answer to a grammar; of a
 * request that demands none it is a failure like others.
 */
export type Concession = "tool-parser" | "schema-keywords" | "constraint";

/** A failure with its place in the table. `message` is shown to people; it never holds a stack, a key or a prompt. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  /** Seconds until trying again makes sense, where somebody (an engine, a limit) said so. */
  readonly retryAfter: number | undefined;
  /** The request field that is wrong, for OpenAI's `param`. */
  readonly param: string | undefined;
  /** The budget that refused, with `budget_exceeded`. */
  readonly cap: SpendCap | undefined;
  /** With `prompt_too_long`: what the engine said of it. */
  readonly overflow: SaidOverflow | undefined;
  /** With `engine_refused`: how the same engine may be asked again. */
  readonly concession: Concession | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      retryAfter?: number | undefined;
      param?: string;
      cap?: SpendCap;
      overflow?: SaidOverflow | undefined;
      concession?: Concession | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "GatewayError";
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.param = options.param;
    this.cap = options.cap;
    this.overflow = options.overflow;
    this.concession = options.concession;
  }

  get row(): Row {
    return ERROR_TABLE[this.code];
  }
}

/** The error that a thrown value means: itself, or `internal` with nothing of its text leaked. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError(
    "internal",
    "the gateway failed on this request; its log has the details under the request id",
    { cause: thrown },
  );
}

/** The headers that tell a client whether and when to try again. */
export function retryHeaders(error: GatewayError): Record<string, string> {
  const retry = error.retryAfter ?? error.row.retry;
  if (retry === "never") return { "x-should-retry": "false" };
  if (retry === "client") return {};
  const after = { "retry-after": String(Math.max(1, Math.ceil(retry))) };
  // A spent budget has a time from which on it works again, and yet a client must not sit and wait for it.
  return error.row.retry === "never" ? { ...after, "x-should-retry": "false" } : after;
}
