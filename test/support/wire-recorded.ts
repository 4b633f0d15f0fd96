/** What a client should get for each request recorded on vLLM 0.32.0, where that is not simply what vLLM answered. */
import { expect } from "vitest";
import type { Json } from "./wire-verdict.ts";

export type RecordedCase = {
  method: string;
  path: string;
  headers: Record<string, string>;
  /** A string where it was no JSON. */
  request: Json | string | null;
  status: number;
  type: string;
  answer: string;
};

export type Expected = {
  /** 200 by default. */
  status?: number;
  /** Of an error. */
  type?: string;
  message?: RegExp;
  headers?: Record<string, RegExp>;
  /** The whole answer, for what is no chat. */
  body?: Json;
  /** The error in a stream. */
  error?: { type: string; message: unknown };
  /** The case whose answer the engine gives: vLLM refused this one, or failed in its own translation. */
  answeredAs?: string;
  /** What the engine counts. */
  tokens?: number;
  /** In the request that the engine got. */
  engine?: Json;
  /** In its messages, as JSON text. */
  prompt?: RegExp | RegExp[];
};

/** Recorded, but nothing that a client sends to a gateway: the engine's own pages. */
export const UNSENT = new Set<string>([]);

const NEVER = { "x-should-retry": /^false$/ };
const INVALID = { status: 400, type: "invalid_request_error", headers: NEVER };
const NOT_FOUND_ANTHROPIC = { status: 404, type: "not_found_error", headers: NEVER };
const NOT_FOUND_OPENAI = { status: 404, type: "invalid_request_error", headers: NEVER };
const TEXT = "ant-msg";
/** vLLM shows its own validation's dump here. */
const expectsNoDump: unknown = expect.not.stringMatching(/validation error|pydantic|input_value/i);

export const EXPECTED: Readonly<Record<string, Expected>> = {
  // Errors, each in one envelope and with a type that Anthropic has.
  "ant-after-engine-death": { status: 502, type: "api_error", message: /^the engine failed/ },
  "ant-batches": { ...NOT_FOUND_ANTHROPIC, message: /\/v1\/messages\/batches/ },
  // vLLM sends an empty prompt to the model; Anthropic refuses it, and so do templates.
  "ant-empty-content": { ...INVALID, message: /content/ },
  "ant-empty-messages": { ...INVALID, message: /messages/ },
  "ant-err-badjson": { ...INVALID, message: /JSON/ },
  "ant-err-named-unknown-tool": { ...INVALID, message: /nope/ },
  "ant-err-temp2": { ...INVALID, message: /temperature must be non-negative/ },
  "ant-max-tokens-0": { ...INVALID, message: /max_tokens/ },
  "ant-err-too-long": { ...INVALID, tokens: 9_201, message: /^prompt is too long: 9201 tokens > 8192 maximum$/ },
  "ant-err-too-long-stream": { ...INVALID, tokens: 9_201, message: /^prompt is too long: 9201 tokens > 8192 maximum$/ },
  "oai-404-path": { ...NOT_FOUND_OPENAI, message: /\/v1\/nope/ },
  "oai-405": { status: 405, type: "invalid_request_error", headers: NEVER, message: /POST/ },
  "oai-after-engine-death": { status: 502, type: "server_error", message: /^the engine failed/ },
  "oai-err-badjson": { ...INVALID, message: /JSON/ },
  "oai-err-missing-messages": { ...INVALID, message: /messages/ },
  "oai-err-model": { ...NOT_FOUND_OPENAI, message: /nope.*test-model/ },
  "oai-err-named-unknown-tool": { ...INVALID, message: /./ },
  "oai-err-temp": { ...INVALID, message: /temperature must be non-negative/ },
  "oai-err-too-long": { ...INVALID, tokens: 9_201, message: /maximum context length is 8192 tokens.*9201 tokens/ },
  "ant-stream-engine-killed-midway": { error: { type: "api_error", message: expectsNoDump } },

  // vLLM refuses these; a harness sends them and must be answered.
  "ant-document": { answeredAs: TEXT, prompt: [/hello/, /title=/] },
  "ant-err-maxtokens-plus-prompt": {
    answeredAs: TEXT,
    engine: { max_tokens: 8_152 },
    headers: { "x-evener-max-tokens": /^8152$/ },
  },
  "ant-err-model": { answeredAs: TEXT, engine: { model: "test-model" } },
  "ant-err-model-stream": { answeredAs: TEXT, engine: { model: "test-model" } },
  "ant-err-role": { answeredAs: TEXT, headers: { "x-evener-ignored": /role:tool/ } },
  "ant-image": { answeredAs: TEXT, prompt: /image omitted/ },
  "ant-missing-max-tokens": { answeredAs: TEXT },
  "ant-search-result": { answeredAs: TEXT, prompt: /q/ },
  "ant-server-tool-bash": { answeredAs: TEXT, engine: { tools: [{ type: "function", function: { name: "bash" } }] } },
  "ant-server-tool-use-block": { answeredAs: TEXT, prompt: /web_search/ },
  "ant-server-tool-websearch": { answeredAs: TEXT, prompt: /Not available here: web_search/ },
  "ant-stop-sequences-many": { answeredAs: TEXT },
  "ant-thinking-budget-ge-max": { answeredAs: TEXT },
  "ant-thinking-budget-too-small": { answeredAs: TEXT },
  "ant-thinking-enabled": { answeredAs: TEXT },
  "ant-toolresult-image": { answeredAs: TEXT, prompt: /image omitted/ },
  "oai-415": { answeredAs: TEXT },
  "oai-err-image": { answeredAs: TEXT, prompt: /image omitted/ },
  "oai-err-maxtok-too-big": {
    answeredAs: TEXT,
    engine: { max_tokens: 8_152 },
    headers: { "x-evener-max-tokens": /^8152$/ },
  },

  // vLLM answers, but loses something of the request.
  "ant-billing-header-render": { answeredAs: TEXT, prompt: /^(?!.*billing-header)/ },
  // Found in the reasoning, a stop sequence ended the answer there.
  "ant-stop-sequence": { answeredAs: TEXT },
  "ant-stop-sequence-stream": { answeredAs: TEXT },
  "oai-stop": { answeredAs: "oai-chat" },
  "ant-document-in-toolresult": { prompt: /<document/ },
  "ant-inline-system": { prompt: /<system-reminder>\\n<reminder> be brief/ },
  "ant-render-toolresult-iserror": { answeredAs: TEXT, prompt: /Error: boom: no such city/ },
  "ant-toolresult-iserror": { prompt: /Error: / },
  "ant-tools-truncated": { answeredAs: "oai-tools-named-stream" },
  "ant-priority": { headers: { "x-evener-ignored": /field:priority/ } },
  "ant-unknown-fields": { headers: { "x-evener-ignored": /field:container.*field:foo/ } },
  "oai-unknown-field": { headers: { "x-evener-ignored": /field:foo_bar/ } },
  "ant-extra-structured-outputs-ignored": { engine: { structured_outputs: {} } },
  "ant-output-format": { engine: { response_format: { type: "json_schema" } } },
  "ant-prefill-assistant": { engine: { continue_final_message: true, add_generation_prompt: false } },

  // No chats.
  "ant-count-tokens": { body: { input_tokens: 40 } },
  "ant-count-tokens-beta": { body: { input_tokens: 40 } },
  "ant-count-tokens-err-model": { ...NOT_FOUND_ANTHROPIC, message: /nope/ },
  "ant-count-tokens-toolong": { tokens: 9_201, body: { input_tokens: 9_201 } },
  "ant-models-anthropic-style": { body: { first_id: "test-model", has_more: false } },
};
