/** Encodes a request for an engine: the body of `POST /v1/chat/completions`, and of `/tokenize` for the same prompt. */
import { isObject } from "../base/is-object.ts";
import type { ChatRequest, JsonObject, OutputFormat } from "../conversation/request.ts";
import type { EngineMessage } from "./prompt/engine-message.ts";
import { engineMessages } from "./prompt/engine-messages.ts";
import type { PromptProfile } from "./prompt/prompt-profile.ts";
import { thinkingArguments } from "./prompt/thinking-arguments.ts";
import { headTools, onlyTool } from "./prompt/tool-definitions.ts";

export type ChatTarget = {
  /** The name under which the engine serves the model. */
  model: string;
  /** Most tokens to generate, already clamped to what the window leaves; absent leaves it to the engine. */
  maxTokens?: number;
  profile: PromptProfile;
  /** Whether the engine takes `stream_options` with running usage. */
  streamOptions: boolean;
  /** Whether the gateway looks for stop sequences itself, in visible text only; the engine is then not told of them. */
  ownStops?: boolean;
  /**
   * Whether the model's calls come as text: the engine, which has no parser for them, is told that it need not look for any. The tools stay
   * in the prompt.
   */
  callsAsText?: boolean;
  /** llama.cpp's own way of running usage, `timings_per_token`. */
  timingsPerToken?: boolean;
};

/** All that a chat template sees of a request, in the order in which templates write it. JSON text a piece. */
export type EncodedPrompt = {
  tools: readonly string[];
  messages: readonly { role: EngineMessage["role"]; json: string }[];
  /** Template arguments, and whether the last message is continued: fields of both request bodies. */
  template: JsonObject;
  /** `reasoning_effort`, a parameter of its own in chat completions and a template argument for /tokenize. */
  effort?: string;
};

/** Fields with which a client may change the prompt's rendering; they go to /tokenize as well. */
const TEMPLATE_FIELDS = [
  "add_generation_prompt",
  "continue_final_message",
  "add_special_tokens",
  "mm_processor_kwargs",
  "media_io_kwargs",
];

/**
 * What `encodeChat` writes itself, or the gateway depends on: a client's extensions never replace it. `seed` is not among
 * them, because one of 64 bits comes as an extension, digit for digit.
 */
const OWN_FIELDS = new Set([
  "model",
  "messages",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "frequency_penalty",
  "presence_penalty",
  "stop",
  "response_format",
  "stream",
  "stream_options",
  "chat_template_kwargs",
  "reasoning_effort",
  ...TEMPLATE_FIELDS,
]);

/** Renders the prompt once, for counting, sending and the prefix guard. */
export function encodePrompt(request: ChatRequest, target: ChatTarget): EncodedPrompt {
  const { profile } = target;
  const messages = engineMessages(request, profile);
  const thinking = thinkingArguments(request.reasoning, profile.thinkingSwitch);
  const template: JsonObject = {};
  // What the client itself wants of the template outweighs what its wish means for this model.
  const sent = request.extensions["chat_template_kwargs"];
  const templateArguments = isObject(sent) ? { ...thinking.template, ...sent } : thinking.template;
  if (Object.keys(templateArguments).length > 0) template["chat_template_kwargs"] = templateArguments;
  if (messages.at(-1)?.role === "assistant") {
    template["add_generation_prompt"] = false;
    template["continue_final_message"] = true;
  }
  for (const field of TEMPLATE_FIELDS) {
    if (request.extensions[field] !== undefined) template[field] = request.extensions[field];
  }
  const effort = request.extensions["reasoning_effort"] ?? thinking.effort;
  const prompt: EncodedPrompt = {
    tools: headTools(request, profile),
    messages: messages.map((message) => ({ role: message.role, json: JSON.stringify(message) })),
    template,
  };
  return typeof effort === "string" ? { ...prompt, effort } : prompt;
}

/** The body of vLLM's `POST /tokenize` that counts exactly the prompt that `encodeChat` sends. */
export function encodeTokenize(prompt: EncodedPrompt, target: ChatTarget): string {
  let { template } = prompt;
  if (prompt.effort !== undefined) {
    const sent = template["chat_template_kwargs"];
    // As vLLM's chat endpoint derives it (vllm/entrypoints/openai/chat_completion/protocol.py, 0.32).
    const derived = { reasoning_effort: prompt.effort, enable_thinking: prompt.effort !== "none" };
    template = { ...template, chat_template_kwargs: { ...derived, ...(isObject(sent) ? sent : {}) } };
  }
  return `${promptFields(prompt, target)}${fields(template)}}`;
}

/** The body of `POST /v1/chat/completions`. Pass the prompt where it has been encoded already. */
export function encodeChat(
  request: ChatRequest,
  target: ChatTarget,
  prompt: EncodedPrompt = encodePrompt(request, target),
): string {
  const { sampling } = request;
  const hasTools = prompt.tools.length > 0;
  const own: JsonObject = {
    ...(hasTools ? toolFields(request, target) : {}),
    max_tokens: target.maxTokens,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: sampling.seed,
    frequency_penalty: sampling.frequencyPenalty,
    presence_penalty: sampling.presencePenalty,
    stop: request.stop.length > 0 && gatewayStops(request, target).length === 0 ? request.stop : undefined,
    response_format: request.output && responseFormat(request.output),
    reasoning_effort: prompt.effort,
    ...prompt.template,
    stream: true,
    timings_per_token: target.timingsPerToken === true ? true : undefined,
    stream_options: target.streamOptions ? { include_usage: true, continuous_usage_stats: true } : undefined,
  };
  for (const name in request.extensions) {
    if (!OWN_FIELDS.has(name)) own[name] = request.extensions[name];
  }
  return `${promptFields(prompt, target)}${fields(own)}}`;
}

/** The stop sequences that the gateway looks for itself. A client that wants to see them in the text leaves them to the engine. */
export function gatewayStops(request: ChatRequest, target: Pick<ChatTarget, "ownStops">): readonly string[] {
  return target.ownStops === true && request.extensions["include_stop_str_in_output"] !== true ? request.stop : [];
}

/** The beginning of both bodies, `{` included. */
function promptFields(prompt: EncodedPrompt, target: ChatTarget): string {
  const tools = prompt.tools.length > 0 ? `,"tools":[${prompt.tools.join(",")}]` : "";
  let messages = "";
  for (const message of prompt.messages) messages += messages === "" ? message.json : `,${message.json}`;
  return `{"model":${JSON.stringify(target.model)},"messages":[${messages}]${tools}`;
}

/** An object's fields as they continue a JSON object; what is undefined is left out. */
function fields(object: JsonObject): string {
  const json = JSON.stringify(object);
  return json === "{}" ? "" : `,${json.slice(1, -1)}`;
}

/** Tokens that begin and end a call are special in some vocabularies, and not written into text unless asked for. */
function toolFields(request: ChatRequest, { callsAsText, profile }: ChatTarget): JsonObject {
  if (callsAsText === true) return { tool_choice: "none", skip_special_tokens: false };
  return { tool_choice: toolChoice(request, profile), parallel_tool_calls: request.parallelToolCalls };
}

function toolChoice(request: ChatRequest, profile: PromptProfile): unknown {
  const { toolChoice: choice, tools } = request;
  if (choice?.type !== "tool") return choice?.type;
  if (onlyTool(request, profile) !== undefined) return "required";
  // A tool that only the server could have run cannot be forced; the model says that it has none.
  if (tools.some((tool) => tool.type === "server" && tool.name === choice.name)) return "auto";
  return { type: "function", function: { name: choice.name } };
}

function responseFormat(output: OutputFormat): JsonObject {
  if (output.type === "json-object") return { type: "json_object" };
  const { name, schema, strict } = output;
  return { type: "json_schema", json_schema: { name, schema, strict } };
}
