/** What a chat request must be before the engine looks at it: vLLM's schema checks, in its order and words. */
import { findJsonProblem } from "./json-problem.ts";
import { badRequest, invalidBody, pythonFloat, type ValidationProblem } from "./refusal.ts";
import type { JsonObject, ScriptTool } from "./script.ts";

export type ToolChoice = "auto" | "none" | "required" | { name: string };

/** A checked chat request; `raw` is all of it. */
export type ChatBody = {
  raw: JsonObject;
  /** Empty: the engine's first model. */
  model: string;
  messages: JsonObject[];
  tools: ScriptTool[];
  /** The tools as they were sent, for the template. */
  rawTools: JsonObject[];
  toolChoice: ToolChoice;
  stream: boolean;
  includeUsage: boolean;
  continuousUsage: boolean;
  maxTokens: { name: "max_tokens" | "max_completion_tokens"; value: number } | undefined;
  stop: string[];
  includeStop: boolean;
  priority: number;
  cacheSalt: string;
  responseFormat: JsonObject | undefined;
  /** One of these texts must be the answer (`structured_outputs.choice`). */
  choices: string[] | undefined;
  templateArguments: JsonObject;
  addGenerationPrompt: boolean;
};

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses a body, or refuses it as vLLM does. */
export function parseBody(text: string): JsonObject {
  let parsed: unknown;
  if (text === "") throw invalidBody([{ type: "missing", loc: "body", msg: "Field required", input: "None" }]);
  try {
    parsed = JSON.parse(text);
  } catch {
    const problem = findJsonProblem(text) ?? { position: 0, message: "Expecting value" };
    const input = "<dict of 0 items>";
    const loc = `body.${problem.position}`;
    throw invalidBody([{ type: "json_invalid", loc, msg: "JSON decode error", input, error: problem.message }]);
  }
  if (isObject(parsed)) return parsed;
  const msg = "Input should be a valid dictionary or object to extract fields from";
  throw invalidBody([{ type: "model_attributes_type", loc: "body", msg, input: summary(parsed) }]);
}

/** Checks the fields of a chat request that change the answer; unknown ones are let through, as vLLM does. */
export function checkChatBody(raw: JsonObject): ChatBody {
  const problems: ValidationProblem[] = [];
  const messages = messageList(raw, problems);
  const maxTokens = integer(raw, "max_completion_tokens", problems) ?? integer(raw, "max_tokens", problems);
  const [first, ...others] = problems;
  if (first) throw invalidBody([first, ...others]);
  const stream = raw["stream"] === true;
  const streamOptions = isObject(raw["stream_options"]) ? raw["stream_options"] : undefined;
  if (streamOptions && !stream)
    throw badRequest("Stream options can only be defined when `stream=True`.", "stream_options");
  const rawTools = Array.isArray(raw["tools"]) ? raw["tools"].filter(isObject) : [];
  const tools = rawTools.map(readTool);
  const structured = isObject(raw["structured_outputs"]) ? raw["structured_outputs"]["choice"] : undefined;
  return {
    raw,
    model: typeof raw["model"] === "string" ? raw["model"] : "",
    messages,
    tools,
    rawTools,
    toolChoice: readToolChoice(raw["tool_choice"] ?? undefined, tools),
    stream,
    includeUsage: streamOptions?.["include_usage"] === true,
    continuousUsage: streamOptions?.["include_usage"] === true && streamOptions["continuous_usage_stats"] === true,
    maxTokens,
    stop: typeof raw["stop"] === "string" ? [raw["stop"]] : Array.isArray(raw["stop"]) ? raw["stop"].map(String) : [],
    includeStop: raw["include_stop_str_in_output"] === true,
    priority: typeof raw["priority"] === "number" ? raw["priority"] : 0,
    cacheSalt: typeof raw["cache_salt"] === "string" ? raw["cache_salt"] : "",
    responseFormat: isObject(raw["response_format"]) ? raw["response_format"] : undefined,
    choices: Array.isArray(structured) ? structured.map(String) : undefined,
    templateArguments: isObject(raw["chat_template_kwargs"]) ? raw["chat_template_kwargs"] : {},
    addGenerationPrompt: raw["add_generation_prompt"] !== false,
  };
}

/** The checks that vLLM makes last, on the sampling parameters. */
export function checkSampling(raw: JsonObject): void {
  const { temperature, top_p: topP, n } = raw as { temperature?: unknown; top_p?: unknown; n?: unknown };
  if (typeof temperature === "number" && temperature < 0) {
    const value = pythonFloat(temperature);
    throw badRequest(`temperature must be non-negative, got ${value}.`, "temperature", value);
  }
  if (typeof topP === "number" && (topP <= 0 || topP > 1)) {
    const value = pythonFloat(topP);
    throw badRequest(`top_p must be in (0, 1], got ${value}.`, "top_p", value);
  }
  if (typeof n === "number" && n !== 1) throw badRequest("the simulated engine answers with one choice only", "n", n);
}

function messageList(raw: JsonObject, problems: ValidationProblem[]): JsonObject[] {
  const messages = raw["messages"];
  if (messages === undefined) {
    problems.push({ type: "missing", loc: "body.messages", msg: "Field required", input: summary(raw) });
    return [];
  }
  if (!Array.isArray(messages)) {
    problems.push({
      type: "list_type",
      loc: "body.messages",
      msg: "Input should be a valid list",
      input: summary(messages),
    });
    return [];
  }
  return messages.map((message: unknown, index) => {
    if (isObject(message) && typeof message["role"] === "string") return message;
    const loc = `body.messages.${index}.role`;
    problems.push({ type: "missing", loc, msg: "Field required", input: summary(message) });
    return {};
  });
}

function integer<Name extends "max_tokens" | "max_completion_tokens">(
  raw: JsonObject,
  name: Name,
  problems: ValidationProblem[],
): { name: Name; value: number } | undefined {
  const value = raw[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isInteger(value)) return { name, value };
  const msg = "Input should be a valid integer, unable to parse string as an integer";
  problems.push({ type: "int_parsing", loc: `body.${name}`, msg, input: summary(value) });
  return undefined;
}

function readTool(tool: JsonObject): ScriptTool {
  const described = isObject(tool["function"]) ? tool["function"] : {};
  return {
    name: typeof described["name"] === "string" ? described["name"] : "",
    parameters: isObject(described["parameters"]) ? described["parameters"] : {},
  };
}

function readToolChoice(choice: unknown, tools: readonly ScriptTool[]): ToolChoice {
  if (choice === undefined) return tools.length > 0 ? "auto" : "none";
  if (choice === "none") return "none";
  if (tools.length === 0) throw badRequest("When using `tool_choice`, `tools` must be set.", "tool_choice");
  if (choice === "auto" || choice === "required") return choice;
  const named = isObject(choice) && isObject(choice["function"]) ? choice["function"]["name"] : undefined;
  if (typeof named !== "string") {
    const sent = typeof choice === "string" ? choice : JSON.stringify(choice);
    const allowed = 'Only named tools, "none", "auto" or "required" are supported.';
    throw badRequest(`Invalid value for \`tool_choice\`: ${sent}! ${allowed}`, "tool_choice");
  }
  if (!tools.some(({ name }) => name === named)) {
    throw badRequest("The tool specified in `tool_choice` does not match any of the specified `tools`", "tool_choice");
  }
  return { name: named };
}

/** A rejected input as vLLM shows it: never the whole of it. */
export function summary(value: unknown): string {
  if (Array.isArray(value)) return `<list of ${value.length} items>`;
  if (isObject(value)) return `<dict of ${Object.keys(value).length} items>`;
  if (value === null || value === undefined) return "None";
  return typeof value === "string" ? value : JSON.stringify(value);
}
