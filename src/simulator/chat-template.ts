/**
 * The chat template: a conversation as the text of its prompt. ChatML with hermes tools, as Qwen's templates write it.
 *
 * Three of them, because real ones differ in what breaks prefix caching: one takes system messages anywhere, one refuses
 * them after the first message, one leaves out earlier reasoning once a new user message has come.
 */
import { isObject } from "./chat-body.ts";
import type { TemplateName } from "./options.ts";
import { badRequest } from "./refusal.ts";
import type { JsonObject } from "./script.ts";

/** Stands for an image; followed by a digest of it, so that another image is another prompt. */
const IMAGE = "<|vision_start|><|image_pad|>";

export type Rendering = {
  template: TemplateName;
  messages: readonly JsonObject[];
  tools: readonly JsonObject[];
  templateArguments: JsonObject;
  addGenerationPrompt: boolean;
  /** The model's name where it sees no images; `undefined` where it does. */
  blindModel: string | undefined;
};

/** Throws the template's own refusal, as vLLM passes it on. */
export function renderPrompt(rendering: Rendering): string {
  const { messages, tools, template } = rendering;
  if (messages.length === 0) {
    throw badRequest("Cannot apply chat template to an empty conversation. Provide at least one message.");
  }
  const contents = messages.map((message) => contentText(message["content"], rendering.blindModel));
  const lastUser = messages.findLastIndex(({ role }) => role === "user");
  let prompt = head(messages, contents, tools);
  for (const [index, message] of messages.entries()) {
    const content = contents[index] ?? "";
    const role = message["role"];
    if (role === "user" || (role === "system" && index > 0)) {
      if (role === "system" && template === "refuses-late-system") {
        throw badRequest("System message must be at the beginning.");
      }
      prompt += `<|im_start|>${role}\n${content}<|im_end|>\n`;
    } else if (role === "assistant") {
      const thinks = template !== "drops-reasoning" || index > lastUser;
      prompt += `<|im_start|>assistant\n${thinks ? reasoningText(message) : ""}${content}${callsText(message)}<|im_end|>\n`;
    } else if (role === "tool") {
      if (messages[index - 1]?.["role"] !== "tool") prompt += "<|im_start|>user";
      prompt += `\n<tool_response>\n${content}\n</tool_response>`;
      if (messages[index + 1]?.["role"] !== "tool") prompt += "<|im_end|>\n";
    }
  }
  if (!rendering.addGenerationPrompt) return prompt;
  const quiet = rendering.templateArguments["enable_thinking"] === false;
  return `${prompt}<|im_start|>assistant\n${quiet ? writtenReasoning("") : ""}`;
}

/** Reasoning as the model writes it before its answer. */
export function writtenReasoning(text: string): string {
  return `<think>\n${text}\n</think>\n\n`;
}

/** A tool call as the model writes it after its content, in three parts of which the middle one is the arguments. */
export function writtenCall(name: string): { before: string; after: string } {
  return { before: `\n<tool_call>\n{"name": "${name}", "arguments": `, after: "}\n</tool_call>" };
}

function head(messages: readonly JsonObject[], contents: readonly string[], tools: readonly JsonObject[]): string {
  const system = messages[0]?.["role"] === "system" ? (contents[0] ?? "") : undefined;
  if (tools.length === 0) return system === undefined ? "" : `<|im_start|>system\n${system}<|im_end|>\n`;
  const listed = tools.map((tool) => `\n${JSON.stringify(tool)}`).join("");
  return (
    `<|im_start|>system\n${system === undefined ? "" : `${system}\n\n`}# Tools\n\n` +
    "You may call functions to help with the user's request. Their signatures stand between <tools> tags:\n" +
    `<tools>${listed}\n</tools>\n\n` +
    "Write each call as a JSON object with the function's name and its arguments between tool call tags:\n" +
    '<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call><|im_end|>\n'
  );
}

/** Content as text; the text parts of a list are joined by line ends, as vLLM does for templates that take text only. */
function contentText(content: unknown, blindModel: string | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: unknown) => {
      if (typeof part === "string") return part;
      if (!isObject(part)) return "";
      if (part["type"] === "image_url") return imageText(part["image_url"], blindModel);
      return typeof part["text"] === "string" ? part["text"] : "";
    })
    .join("\n");
}

function imageText(image: unknown, blindModel: string | undefined): string {
  if (blindModel !== undefined) throw badRequest(`${blindModel} is not a multimodal model`);
  const url = isObject(image) && typeof image["url"] === "string" ? image["url"] : "";
  let digest = 0x811c9dc5;
  for (let i = 0; i < url.length; i++) digest = Math.imul(digest ^ url.charCodeAt(i), 0x01000193);
  return `${IMAGE}${(digest >>> 0).toString(16).padStart(8, "0").repeat(16)}<|vision_end|>`;
}

function reasoningText(message: JsonObject): string {
  const reasoning = message["reasoning_content"] ?? message["reasoning"];
  if (typeof reasoning !== "string" || reasoning === "") return "";
  return writtenReasoning(reasoning.replace(/^\n+|\n+$/g, ""));
}

function callsText(message: JsonObject): string {
  const calls = message["tool_calls"];
  if (!Array.isArray(calls)) return "";
  return calls
    .filter(isObject)
    .map((call) => {
      const called = isObject(call["function"]) ? call["function"] : call;
      const { before, after } = writtenCall(String(called["name"]));
      return before + normalArguments(called["arguments"]) + after;
    })
    .join("");
}

/** Arguments are read and written again, so that white space in them changes no prompt; what cannot be read becomes `{}`. */
export function normalArguments(sent: unknown): string {
  if (isObject(sent)) return JSON.stringify(sent);
  try {
    const parsed: unknown = JSON.parse(String(sent));
    return isObject(parsed) ? JSON.stringify(parsed) : "{}";
  } catch {
    return "{}";
  }
}
