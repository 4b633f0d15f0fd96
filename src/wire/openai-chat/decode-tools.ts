/** Decodes tools, the legacy `functions`, and what the client wants of them (`tool_choice`, `function_call`). */
import type { FunctionTool, JsonObject, ToolChoice } from "../../conversation/request.ts";
import { arrayField, booleanField, isObject, objectField, refuse, requiredString, stringField } from "./fields.ts";
import type { Notes } from "./notes.ts";

export type ToolWish = { tools: FunctionTool[]; toolChoice?: ToolChoice; legacy: boolean };

export function decodeTools(body: JsonObject, notes: Notes): ToolWish {
  const tools: FunctionTool[] = [];
  for (const [i, value] of (arrayField(body["tools"], "tools") ?? []).entries()) {
    const param = `tools[${i}]`;
    const tool = isObject(value) ? value : refuse(param, "must be an object");
    const type = stringField(tool["type"], `${param}.type`) ?? "function";
    if (type !== "function") notes.add("tool", type);
    else {
      const definition = objectField(tool["function"], `${param}.function`);
      tools.push(decodeFunction(definition ?? refuse(`${param}.function`, "is missing"), `${param}.function`));
    }
  }
  const functions = arrayField(body["functions"], "functions");
  const legacy = functions !== undefined && tools.length === 0;
  if (legacy) {
    for (const [i, value] of functions.entries()) {
      const param = `functions[${i}]`;
      tools.push(decodeFunction(isObject(value) ? value : refuse(param, "must be an object"), param));
    }
  } else if (functions !== undefined) notes.add("field", "functions");
  const choice = legacy ? decodeLegacyChoice(body["function_call"]) : decodeChoice(body["tool_choice"]);
  return { ...applyChoice(tools, choice, legacy ? "function_call" : "tool_choice"), legacy };
}

function decodeFunction(definition: JsonObject, param: string): FunctionTool {
  const tool: FunctionTool = {
    type: "function",
    name: requiredString(definition["name"], `${param}.name`),
    schema: objectField(definition["parameters"], `${param}.parameters`) ?? { type: "object", properties: {} },
    // Late loading needs tool references, which this wire has no form for: every tool stands in the head.
    deferred: false,
  };
  const description = stringField(definition["description"], `${param}.description`);
  if (description !== undefined) tool.description = description;
  const strict = booleanField(definition["strict"], `${param}.strict`);
  if (strict !== undefined) tool.strict = strict;
  return tool;
}

type WiredChoice = ToolChoice | { type: "allowed"; required: boolean; names: string[] };

export function decodeChoice(value: unknown): WiredChoice | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === "auto" || value === "none" || value === "required") return { type: value };
  // `any` is the name of it on other wires; engines and proxies take it for this one.
  if (value === "any") return { type: "required" };
  const choice = isObject(value)
    ? value
    : refuse("tool_choice", "must be none, auto, required, or an object that names a function");
  if (choice["type"] === "allowed_tools") return decodeAllowed(choice);
  if (choice["type"] !== "function") return refuseType(choice["type"]);
  const named = objectField(choice["function"], "tool_choice.function") ?? choice;
  return { type: "tool", name: requiredString(named["name"], "tool_choice.function.name") };
}

/** A forced hosted tool is a 400, where an offered one is left out: the answer would have to be made of what nobody can look up. */
function refuseType(type: unknown): never {
  const at = "tool_choice.type";
  if (typeof type !== "string" || type === "custom") return refuse(at, "must be function or allowed_tools");
  return refuse(
    at,
    `${type} is a tool that nobody runs here; force a function, or ask with auto to be answered without`,
  );
}

function decodeAllowed(choice: JsonObject): WiredChoice {
  const at = "tool_choice.allowed_tools";
  const allowed = objectField(choice["allowed_tools"], at) ?? choice;
  const { mode } = allowed;
  if (mode !== "auto" && mode !== "required") return refuse(`${at}.mode`, "must be auto or required");
  const names: string[] = [];
  for (const [i, value] of (arrayField(allowed["tools"], `${at}.tools`) ?? []).entries()) {
    const tool = isObject(value) ? value : refuse(`${at}.tools[${i}]`, "must be an object");
    const named = objectField(tool["function"], `${at}.tools[${i}].function`) ?? tool;
    if (isIgnored(tool)) continue;
    names.push(requiredString(named["name"], `${at}.tools[${i}].function.name`));
  }
  return { type: "allowed", required: mode === "required", names };
}

/** A tool that nobody runs here has no effect where it is allowed either; custom ones have a name of their own where they are known. */
function isIgnored({ type, name }: JsonObject): boolean {
  if (type === undefined || type === null || type === "function") return false;
  return type !== "custom" || name === undefined;
}

function decodeLegacyChoice(value: unknown): ToolChoice | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === "auto" || value === "none") return { type: value };
  const named = isObject(value) ? value : refuse("function_call", "must be none, auto, or an object with a name");
  return { type: "tool", name: requiredString(named["name"], "function_call.name") };
}

/** Puts choice and tools together; a choice that the tools cannot meet is refused here, not by some engine's words. */
export function applyChoice(
  tools: FunctionTool[],
  choice: WiredChoice | undefined,
  param: string,
): { tools: FunctionTool[]; toolChoice?: ToolChoice } {
  if (choice === undefined) return { tools };
  const has = (name: string): boolean => tools.some((tool) => tool.name === name);
  switch (choice.type) {
    case "tool":
      return has(choice.name) ? { tools, toolChoice: choice } : refuse(param, `there is no tool "${choice.name}"`);
    case "required":
      return tools.length > 0 ? { tools, toolChoice: choice } : refuse(param, "a tool is required, but there is none");
    case "allowed":
      return allow(tools, choice, has);
    default:
      return tools.length > 0 ? { tools, toolChoice: choice } : { tools };
  }
}

/** Engines have no such choice. One required tool is a named one, and leaves the prompt alone; else the others go. */
function allow(
  tools: FunctionTool[],
  choice: { required: boolean; names: string[] },
  has: (name: string) => boolean,
): { tools: FunctionTool[]; toolChoice: ToolChoice } {
  const missing = choice.names.find((name) => !has(name));
  const at = "tool_choice.allowed_tools.tools";
  if (missing !== undefined) refuse(at, `there is no tool "${missing}"`);
  const [only, second] = choice.names;
  if (only === undefined)
    return choice.required
      ? refuse(at, "names no function, and one is required")
      : { tools, toolChoice: { type: "none" } };
  if (choice.required && second === undefined) return { tools, toolChoice: { type: "tool", name: only } };
  const allowed = new Set(choice.names);
  return {
    tools: tools.filter((tool) => allowed.has(tool.name)),
    toolChoice: { type: choice.required ? "required" : "auto" },
  };
}
