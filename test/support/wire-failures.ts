/** The ways in which an engine fails, each as the bytes that it sends, with what a client of either wire must be told. */
import { DONE, args, call, delta, frame, role, say, think } from "./wire-chunks.ts";
import type { WireAnswer } from "./wire-engine.ts";
import type { WireName } from "./wire-gateway.ts";

export type Refusal = {
  what: string;
  answer: WireAnswer;
  status: Record<WireName, number>;
  type: Record<WireName, string>;
  /** Empty where the header must not be there. */
  retryAfter?: string;
  shouldRetry?: "false";
  message: RegExp | Record<WireName, RegExp>;
  outcome?: "error" | "engine_died";
};

const vllmError = (status: number, message: string, more: object = {}): WireAnswer => ({
  status,
  steps: [JSON.stringify({ error: { message, type: "BadRequestError", param: null, code: status, ...more } })],
});

const same = (status: number): Record<WireName, number> => ({ anthropic: status, openai: status });
const INVALID = { anthropic: "invalid_request_error", openai: "invalid_request_error" };
const LIMIT = { anthropic: "rate_limit_error", openai: "rate_limit_error" };
const FAILED = { anthropic: "api_error", openai: "server_error" };
const OVERLOADED = { anthropic: "overloaded_error", openai: "server_error" };

/** True numbers: the gateway's own count (wire-engine counts 40) is below the window, so the engine's word stands. */
const TOO_LONG = (tokens: number) => ({
  anthropic: new RegExp(`^prompt is too long: ${tokens} tokens > 8192 maximum$`),
  openai: new RegExp(
    `^This model's maximum context length is 8192 tokens\\. However, your messages resulted in ${tokens} tokens\\.`,
  ),
});

const overflow = (what: string, message: string, tokens: number, more: object = {}): Refusal => ({
  what: `overflow: ${what}`,
  answer: vllmError(400, message, more),
  status: same(400),
  type: INVALID,
  shouldRetry: "false",
  message: TOO_LONG(tokens),
});

export const REFUSALS: readonly Refusal[] = [
  overflow(
    "vLLM's floor",
    "This model's maximum context length is 8192 tokens. However, your prompt contains at least 8193 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=8193)",
    8193,
    { param: "input_tokens" },
  ),
  overflow(
    "vLLM's exact number",
    "This model's maximum context length is 8192 tokens. However, you requested 500 output tokens and your prompt contains 9000 input tokens, for a total of 9500 tokens. Please reduce the length of the input prompt.",
    9000,
    { param: "input_tokens" },
  ),
  overflow(
    "vLLM's characters",
    "This model's maximum context length is 8192 tokens. However, your prompt contains 600000 characters (more than 524288 characters, which is the upper bound for 8192 input tokens). Please reduce the length of the input prompt. (parameter=input_text, value=600000)",
    8193,
    { param: "input_text" },
  ),
  overflow(
    "older vLLM",
    "This model's maximum context length is 8192 tokens. However, you requested 9500 tokens (9000 in the messages, 500 in the completion). Please reduce the length of the messages or completion.",
    9000,
  ),
  overflow("SGLang", "The input (9000 tokens) is longer than the model's context length (8192 tokens).", 9000),
  {
    ...overflow("llama.cpp", "", 9000),
    answer: vllmError(
      400,
      "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
      {
        type: "exceed_context_size_error",
        n_prompt_tokens: 9000,
        n_ctx: 8192,
      },
    ),
  },
  {
    what: "HTTP 400",
    answer: vllmError(400, "temperature must be non-negative, got -1.0."),
    status: same(400),
    type: INVALID,
    shouldRetry: "false",
    message: /temperature must be non-negative/,
  },
  ...[401, 403].map((status): Refusal => ({
    what: `HTTP ${status}`,
    answer: { status, steps: ['{"error":"Unauthorized"}'] },
    status: same(502),
    type: FAILED,
    // Waiting mends no key; Claude Code would retry for minutes.
    shouldRetry: "false",
    message: /engine does not accept the gateway's API key/,
  })),
  {
    what: "HTTP 404, no endpoint",
    answer: { status: 404, steps: ['{"detail":"Not Found"}'] },
    status: same(502),
    type: FAILED,
    shouldRetry: "false",
    message: /no chat completions endpoint/,
  },
  {
    what: "HTTP 404, no such model",
    answer: vllmError(404, "The model `test-model` does not exist.", { type: "NotFoundError", param: "model" }),
    status: same(404),
    type: { anthropic: "not_found_error", openai: "invalid_request_error" },
    shouldRetry: "false",
    message: /does not serve/,
  },
  {
    what: "HTTP 429 with retry-after",
    answer: { ...vllmError(429, "slow down"), headers: { "retry-after": "7" } },
    status: same(429),
    type: LIMIT,
    retryAfter: "7",
    message: /slow down/,
  },
  {
    what: "HTTP 429 without retry-after",
    answer: vllmError(429, "slow down"),
    status: same(429),
    type: LIMIT,
    retryAfter: "1",
    message: /slow down/,
  },
  {
    what: "HTTP 429 whose body breaks off",
    answer: { status: 429, headers: { "retry-after": "7" }, steps: ['{"error":{"message":"slow', "reset"] },
    status: same(429),
    type: LIMIT,
    retryAfter: "7",
    message: /asks to wait/,
  },
  {
    what: "HTTP 429 whose body never ends",
    answer: { status: 429, headers: { "retry-after": "7" }, steps: ["x".repeat(70_000), "hang"] },
    status: same(429),
    type: LIMIT,
    retryAfter: "7",
    message: /asks to wait/,
  },
  {
    what: "HTTP 500",
    answer: vllmError(500, "EngineCore encountered an issue. See stack trace (above) for the root cause."),
    status: same(502),
    type: FAILED,
    message: /^the engine failed/,
    outcome: "engine_died",
  },
  {
    what: "HTTP 502 with retry-after",
    answer: { status: 502, headers: { "retry-after": "30" }, steps: ["restarting"] },
    status: same(502),
    type: FAILED,
    retryAfter: "30",
    message: /^the engine failed \(502\)/,
    outcome: "engine_died",
  },
  {
    what: "HTTP 503 with retry-after",
    answer: { status: 503, headers: { "retry-after": "30" }, steps: ['{"error":{"message":"Loading model"}}'] },
    status: { anthropic: 529, openai: 503 },
    type: OVERLOADED,
    retryAfter: "30",
    message: /Loading model/,
  },
  {
    what: "HTTP 503 without retry-after",
    answer: { status: 503, steps: ["upstream connect error"] },
    status: { anthropic: 529, openai: 503 },
    type: OVERLOADED,
    retryAfter: "5",
    message: /overloaded or not ready/,
  },
  {
    what: "HTML from a proxy",
    answer: {
      status: 502,
      headers: { "content-type": "text/html" },
      steps: ["<html><body>502 Bad Gateway</body></html>"],
    },
    status: same(502),
    type: FAILED,
    message: /^the engine failed \(502\)(?!.*<html)/,
    outcome: "engine_died",
  },
];

export type Break = {
  what: string;
  /** From where the engine goes wrong; what it said before stays what it said. */
  steps: WireAnswer["steps"];
  message: RegExp;
};

/** A prelude of each kind, and how the stream ends after it. */
export const PRELUDES: Readonly<Record<string, readonly string[]>> = {
  "mid-text": [role, say("Half an "), say("ans")],
  "mid-tool-call": [role, call(0, "get_weather"), args(0, '{"city"'), args(0, ':"Pa')],
  "after reasoning": [role, think("Let me "), think("think.")],
};

const DEAD = {
  message: "EngineCore encountered an issue. See stack trace (above) for the root cause.",
  type: "InternalServerError",
  param: null,
  code: 500,
};

export const BREAKS: readonly Break[] = [
  { what: "reset", steps: ["reset"], message: /closed the connection before its answer was complete/ },
  { what: "ended without a finish", steps: [], message: /ended before it was complete/ },
  { what: "[DONE] without a finish", steps: [DONE], message: /without a finish reason/ },
  { what: "error object", steps: [frame({ error: DEAD }), DONE], message: /^the engine failed/ },
  { what: "garbage", steps: ["data: {not json\n\n"], message: /not a chat completion chunk/ },
  { what: "no event stream", steps: ["<html>Bad Gateway</html>\n\n"], message: /not an event stream/ },
  { what: "a line above 8 MB", steps: [`data: ${"x".repeat(9 << 20)}`], message: /more than 8 MB/ },
  {
    what: "finish reason abort",
    steps: [frame({ choices: [{ index: 0, delta: {}, finish_reason: "abort" }] }), DONE],
    message: /broke its answer off/,
  },
  {
    what: "a call's arguments, an object of 5,000 levels",
    steps: [delta({ tool_calls: [{ index: 0, id: "c", function: { name: "f", arguments: "DEEP" } }] }), DONE].map(
      (step) => step.replace('"DEEP"', `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`),
    ),
    message: /arguments are nested too deeply/,
  },
];
