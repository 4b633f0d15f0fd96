/** Decodes a Messages request: its top level, field by field. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { ChatRequest, JsonObject, Sampling } from "../../conversation/request.ts";
import { parseBody } from "../json-body.ts";
import { ENGINE_PARAMETERS } from "../openai-chat/engine-parameters.ts";
import { noteUnknownBetas } from "./betas.ts";
import { type VerifySignature, createDecodeContext } from "./decode-context.ts";
import { decodeIdentity } from "./decode-identity.ts";
import { decodeMessages } from "./decode-messages.ts";
import { decodeOutputFormat, decodeReasoning } from "./decode-reasoning.ts";
import { decodeSystem } from "./decode-system.ts";
import { decodeToolChoice } from "./decode-tool-choice.ts";
import { decodeTools } from "./decode-tools.ts";
import {
  isGiven,
  isObject,
  optionalBoolean,
  optionalCount,
  optionalNumber,
  refuse,
  requireArray,
  requireName,
  requireString,
} from "./fields.ts";
import { type IgnoredList, createIgnoredList } from "./ignored.ts";

/** Decodes `POST /v1/messages`. Throws GatewayError `invalid_json` or `invalid_request`. */
export function decodeRequest(text: string, headers: RequestHeaders, verifySignature: VerifySignature): ChatRequest {
  const body = parseBody(text);
  // A check that the client would leave to the server: refused by name, the client does it itself; ignored, nobody does.
  if (isGiven(body["safeguards"]))
    refuse("safeguards", "this gateway runs no safeguards; leave the field out and check on the client");
  return decodeBody(body, headers, verifySignature);
}

/** Decodes `POST /v1/messages/count_tokens`: the same body, of which only what makes up the prompt matters. */
export function decodeCountTokens(
  text: string,
  headers: RequestHeaders,
  verifySignature: VerifySignature,
): ChatRequest {
  return decodeBody(parseBody(text), headers, verifySignature);
}

function decodeBody(body: JsonObject, headers: RequestHeaders, verifySignature: VerifySignature): ChatRequest {
  const ignored = createIgnoredList();
  const model = requireName(body["model"], "model");
  const context = createDecodeContext(ignored, model, verifySignature);
  const system = decodeSystem(body["system"], context);
  const messages = decodeMessages(body["messages"], context);
  const tools = decodeTools(body["tools"], context);
  const request: ChatRequest = {
    model,
    stream: optionalBoolean(body["stream"], "stream") ?? false,
    system,
    messages,
    tools,
    ...decodeToolChoice(body, tools),
    sampling: decodeSampling(body),
    stop: decodeStop(body["stop_sequences"]),
    reasoning: decodeReasoning(body, context.effort, ignored),
    identity: decodeIdentity(body, headers),
    extensions: {},
    ignored: ignored.entries,
  };
  const maxTokens = optionalCount(body["max_tokens"], "max_tokens", 1);
  if (maxTokens !== undefined) request.maxTokens = maxTokens;
  const output = decodeOutputFormat(body, ignored);
  if (output !== undefined) request.output = output;
  noteContextEdits(body["context_management"], ignored);
  noteUnknownBetas(headers, ignored);
  sortOtherFields(body, request.extensions, ignored);
  return request;
}

function decodeSampling(body: JsonObject): Sampling {
  const sampling: Sampling = {};
  const set = (name: keyof Sampling, field: string) => {
    const value = optionalNumber(body[field], field);
    if (value !== undefined) sampling[name] = value;
  };
  set("temperature", "temperature");
  set("topP", "top_p");
  set("topK", "top_k");
  // Not Anthropic's, but what vLLM's users send through a client that lets them add fields.
  set("minP", "min_p");
  set("seed", "seed");
  set("frequencyPenalty", "frequency_penalty");
  set("presencePenalty", "presence_penalty");
  return sampling;
}

function decodeStop(value: unknown): string[] {
  if (!isGiven(value)) return [];
  return requireArray(value, "stop_sequences")
    .map((sequence, at) => requireString(sequence, `stop_sequences.${at}`))
    .filter((sequence) => sequence !== "");
}

/** Edits would rewrite the prompt; only the one that asks to keep everything is honoured by doing nothing. */
function noteContextEdits(value: unknown, ignored: IgnoredList): void {
  const edits = isObject(value) ? value["edits"] : undefined;
  if (!Array.isArray(edits)) return;
  for (const edit of edits) {
    if (!isObject(edit) || typeof edit["type"] !== "string") continue;
    const keep = isObject(edit["keep"]) ? edit["keep"]["type"] : edit["keep"];
    if (!(edit["type"].startsWith("clear_thinking") && keep === "all")) ignored.note("edit", edit["type"]);
  }
}

/** Fields that this decoder reads, and `cache_control`, which vLLM's automatic prefix cache makes idle. */
const READ_FIELDS = new Set([
  "model",
  "messages",
  "system",
  "tools",
  "tool_choice",
  "stream",
  "max_tokens",
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "seed",
  "frequency_penalty",
  "presence_penalty",
  "stop_sequences",
  "thinking",
  "output_config",
  "output_format",
  "metadata",
  "context_management",
  "cache_control",
]);

/** Engine parameters come through clients that let their users add fields (Claude Code: `CLAUDE_CODE_EXTRA_BODY`). */
function sortOtherFields(body: JsonObject, extensions: JsonObject, ignored: IgnoredList): void {
  for (const field of Object.keys(body)) {
    if (READ_FIELDS.has(field) || !isGiven(body[field])) continue;
    if (ENGINE_PARAMETERS.has(field)) extensions[field] = body[field];
    else ignored.note("field", field);
  }
}
