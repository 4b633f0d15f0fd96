/** Decodes a chat completions request as a whole: which field means what, and what becomes of those that mean nothing. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { ChatRequest, JsonObject, Sampling } from "../../conversation/request.ts";

import { parseBody } from "../json-body.ts";
import { decodeMessages } from "./decode-messages.ts";
import { decodeOutput } from "./decode-output.ts";
import { decodeReasoning } from "./decode-reasoning.ts";
import { decodeTools } from "./decode-tools.ts";
import { ENGINE_PARAMETERS } from "./engine-parameters.ts";
import { arrayField, booleanField, countField, numberField, objectField, refuse, requiredString } from "./fields.ts";
import { decodeIdentity } from "./identity.ts";
import { newNotes, type Notes } from "./notes.ts";

/** Fields that decodeRequest reads by name. Whatever is not here is an engine's parameter or has no effect. */
const READ = new Set(
  `model messages stream stream_options tools tool_choice functions function_call parallel_tool_calls max_tokens
   max_completion_tokens temperature top_p top_k min_p seed frequency_penalty presence_penalty stop response_format
   reasoning_effort reasoning thinking enable_thinking n modalities prompt_cache_key`.split(/\s+/),
);

export function decodeRequest(text: string, headers: RequestHeaders): ChatRequest {
  const body = parseBody(text);
  const notes = newNotes();
  refuseUnanswerable(body);
  const model = requiredString(body["model"], "model");
  const { system, messages } = decodeMessages(body["messages"], notes);
  const { tools, toolChoice, legacy } = decodeTools(body, notes);
  const stream = booleanField(body["stream"], "stream") ?? false;
  const usageChunk = decodeStreamOptions(body["stream_options"], notes);
  const maxTokens =
    countField(body["max_completion_tokens"], "max_completion_tokens", 1) ??
    countField(body["max_tokens"], "max_tokens", 1);
  const output = decodeOutput(body["response_format"], notes);
  // The legacy form has room for one call an answer.
  const parallel = legacy ? false : booleanField(body["parallel_tool_calls"], "parallel_tool_calls");
  const request: ChatRequest = {
    model,
    stream,
    system,
    messages,
    tools,
    sampling: decodeSampling(body),
    stop: decodeStop(body["stop"]),
    reasoning: decodeReasoning(body),
    identity: decodeIdentity(body, headers),
    extensions: decodeExtensions(body, notes),
    ignored: notes.list(),
  };
  if (toolChoice !== undefined) request.toolChoice = toolChoice;
  if (parallel !== undefined && tools.length > 0) request.parallelToolCalls = parallel;
  if (maxTokens !== undefined) request.maxTokens = maxTokens;
  if (output !== undefined) request.output = output;
  if (usageChunk || legacy) request.answerForm = { usageChunk, legacyFunctionCall: legacy };
  return request;
}

/** What would need another answer than this gateway can give is refused, rather than answered as if it had not been asked. */
function refuseUnanswerable(body: JsonObject): void {
  const count = countField(body["n"], "n", 1) ?? 1;
  if (count > 1) refuse("n", "more than one answer to a request is not supported; send the request n times");
  const modalities = arrayField(body["modalities"], "modalities") ?? [];
  if (modalities.some((kind) => kind !== "text")) refuse("modalities", "only text answers are supported");
}

function decodeStreamOptions(value: unknown, notes: Notes): boolean {
  const options = objectField(value, "stream_options");
  if (options === undefined) return false;
  for (const name of Object.keys(options)) if (name !== "include_usage") notes.add("field", `stream_options.${name}`);
  return booleanField(options["include_usage"], "stream_options.include_usage") ?? false;
}

const SAMPLING_FIELDS: readonly [string, Exclude<keyof Sampling, "seed">][] = [
  ["temperature", "temperature"],
  ["top_p", "topP"],
  ["top_k", "topK"],
  ["min_p", "minP"],
  ["frequency_penalty", "frequencyPenalty"],
  ["presence_penalty", "presencePenalty"],
];

/** Types only: what range makes sense differs by engine, and its refusal names the field as well. */
export function decodeSampling(body: JsonObject): Sampling {
  const sampling: Sampling = {};
  for (const [field, name] of SAMPLING_FIELDS) {
    const number = numberField(body[field], field);
    if (number !== undefined) sampling[name] = number;
  }
  const seed = numberField(body["seed"], "seed");
  if (seed !== undefined && !Number.isInteger(seed)) refuse("seed", "must be a whole number");
  if (seed !== undefined && Number.isSafeInteger(seed)) sampling.seed = seed;
  return sampling;
}

function decodeStop(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const stops = typeof value === "string" ? [value] : Array.isArray(value) ? value : [undefined];
  return stops.map((stop) =>
    typeof stop === "string" && stop !== ""
      ? stop
      : refuse("stop", "must be a string or an array of strings, none empty"),
  );
}

function decodeExtensions(body: JsonObject, notes: Notes): JsonObject {
  const extensions: JsonObject = {};
  for (const name of Object.keys(body)) {
    const value = body[name];
    if (READ.has(name) || value === null) continue;
    if (ENGINE_PARAMETERS.has(name)) extensions[name] = value;
    // Nothing was asked for by `store: false` or `logprobs: false`, so nothing was ignored.
    else if (value !== false) notes.add("field", name);
  }
  // Engines take 64-bit seeds; one beyond 2^53 goes there digit for digit.
  if (JSON.isRawJSON(body["seed"])) extensions["seed"] = body["seed"];
  return extensions;
}
