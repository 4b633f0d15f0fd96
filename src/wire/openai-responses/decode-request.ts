/** Decodes a Responses request as a whole: which field means what, and what becomes of those that mean nothing. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { ChatRequest, JsonObject } from "../../conversation/request.ts";
import { parseBody } from "../json-body.ts";
import { decodeReasoning } from "../openai-chat/decode-reasoning.ts";
import { decodeSampling } from "../openai-chat/decode-request.ts";
import { ENGINE_PARAMETERS } from "../openai-chat/engine-parameters.ts";
import { arrayField, booleanField, countField, objectField, refuse, requiredString } from "../openai-chat/fields.ts";
import { newNotes, type Notes } from "../openai-chat/notes.ts";
import { decodeIdentity } from "./decode-identity.ts";
import { decodeInput } from "./decode-input.ts";
import { decodeOutput } from "./decode-output.ts";
import { decodeTools } from "./decode-tools.ts";
import { echoOf } from "./echo.ts";
import { newToolNames } from "./tool-names.ts";

/** Fields that are read by name, or whose absence of effect is what the client expects (`store` is told in the answer). */
const READ = new Set(
  `model input instructions stream store tools tool_choice parallel_tool_calls max_output_tokens temperature top_p top_k
   min_p seed frequency_penalty presence_penalty text reasoning reasoning_effort thinking enable_thinking include
   prompt_cache_key previous_response_id conversation prompt background`.split(/\s+/),
);

export function decodeRequest(text: string, headers: RequestHeaders): ChatRequest {
  const body = parseBody(text);
  const notes = newNotes();
  refuseStored(body);
  booleanField(body["store"], "store");
  const model = requiredString(body["model"], "model");
  const names = newToolNames();
  const { tools, toolChoice } = decodeTools(body, names, notes);
  const { system, messages } = decodeInput(body, names, notes);
  const maxTokens = countField(body["max_output_tokens"], "max_output_tokens", 1);
  const output = decodeOutput(objectField(body["text"], "text"), notes);
  const parallel = booleanField(body["parallel_tool_calls"], "parallel_tool_calls");
  return {
    model,
    stream: booleanField(body["stream"], "stream") ?? false,
    system,
    messages,
    tools,
    ...(toolChoice !== undefined && { toolChoice }),
    ...(parallel !== undefined && tools.length > 0 && { parallelToolCalls: parallel }),
    ...(maxTokens !== undefined && { maxTokens }),
    sampling: decodeSampling(body),
    stop: [],
    reasoning: decodeReasoning(body),
    ...(output !== undefined && { output }),
    identity: decodeIdentity(body, headers),
    answerForm: {
      responses: {
        carryReasoning: decodeInclude(body["include"], notes),
        tools: names.byEngineName,
        echo: echoOf(body),
      },
    },
    extensions: decodeExtensions(body, notes),
    ignored: notes.list(),
  };
}

/** What would need a store of conversations is refused: answered without, the model would not know what was said before. */
function refuseStored(body: JsonObject): void {
  for (const name of ["previous_response_id", "conversation"]) {
    if (body[name] !== undefined && body[name] !== null)
      refuse(name, "conversations are not stored here; send the whole conversation in input");
  }
  if (body["prompt"] !== undefined && body["prompt"] !== null)
    refuse("prompt", "prompt templates are not stored here; send instructions and input");
  if (booleanField(body["background"], "background") === true)
    refuse("background", "answers are not stored here, so that none can be fetched later; leave it out");
}

/** True where the client wants reasoning in a form that it can send back without reading it. */
function decodeInclude(value: unknown, notes: Notes): boolean {
  let carry = false;
  for (const name of arrayField(value, "include") ?? []) {
    if (name === "reasoning.encrypted_content") carry = true;
    else notes.add("field", typeof name === "string" ? `include.${name}` : "include");
  }
  return carry;
}

function decodeExtensions(body: JsonObject, notes: Notes): JsonObject {
  const extensions: JsonObject = {};
  for (const name of Object.keys(body)) {
    const value = body[name];
    if (READ.has(name) || value === null) continue;
    // One that is false says something: engines have some that are true unless told otherwise (`skip_special_tokens`).
    if (ENGINE_PARAMETERS.has(name)) extensions[name] = value;
    else if (value !== false) notes.add("field", name);
  }
  // Engines take 64-bit seeds; one beyond 2^53 goes there digit for digit.
  if (JSON.isRawJSON(body["seed"])) extensions["seed"] = body["seed"];
  return extensions;
}
