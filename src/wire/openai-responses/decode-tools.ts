/** Decodes tools: flat functions, namespaces of them, free-text (`custom`) ones, and what the client wants of them. */
import type { FunctionTool, JsonObject, ToolChoice } from "../../conversation/request.ts";
import { applyChoice, decodeChoice } from "../openai-chat/decode-tools.ts";
import {
  arrayField,
  booleanField,
  isObject,
  objectField,
  refuse,
  requiredString,
  stringField,
} from "../openai-chat/fields.ts";
import type { Notes } from "../openai-chat/notes.ts";
import type { ToolNames } from "./tool-names.ts";

/** The type of an item that adds tools to those of the request. */
export const ADDITIONAL_TOOLS = "additional_tools";

export function decodeTools(
  body: JsonObject,
  names: ToolNames,
  notes: Notes,
): { tools: FunctionTool[]; toolChoice?: ToolChoice } {
  const tools: FunctionTool[] = [];
  const places = new Map<string, number>();
  const spaces: { space: JsonObject; param: string }[] = [];
  for (const { tool, param } of declared(body)) {
    const type = requiredString(tool["type"], `${param}.type`);
    if (type === "namespace") spaces.push({ space: tool, param });
    else decodeTool(type, tool, param, undefined);
  }
  // After the plain tools, so that those keep their names whatever the order.
  for (const { space, param } of spaces) {
    const namespace = requiredString(space["name"], `${param}.name`);
    for (const inner of objects(space["tools"], `${param}.tools`))
      decodeTool(requiredString(inner.tool["type"], `${inner.param}.type`), inner.tool, inner.param, namespace);
  }
  return applyChoice(tools, decodeChoice(plainChoice(body["tool_choice"])), "tool_choice");

  function decodeTool(type: string, tool: JsonObject, param: string, namespace: string | undefined): void {
    // Hosted tools (web_search, file_search, …) are OpenAI's to run; nobody runs them here.
    if (type !== "function" && type !== "custom") return notes.add("tool", type);
    const custom = type === "custom";
    const name = names.add(requiredString(tool["name"], `${param}.name`), namespace, custom);
    const description = stringField(tool["description"], `${param}.description`);
    const strict = booleanField(tool["strict"], `${param}.strict`);
    // Said once more, perhaps in other words: the latest counts, and stands where the tool stood.
    const place = places.get(name) ?? tools.length;
    places.set(name, place);
    tools[place] = {
      type: "function",
      name,
      ...(custom ? customParts(tool, description, param) : functionParts(tool, description, param)),
      ...(strict !== undefined && { strict }),
      deferred: false,
    };
  }
}

/**
 * The tools of the request, and those that items of its input add. For some models Codex has all of its tools in such an item. They stand in
 * the head with the others, wherever the item is.
 */
function* declared(body: JsonObject): Generator<{ tool: JsonObject; param: string }> {
  yield* objects(body["tools"], "tools");
  const { input } = body;
  if (!Array.isArray(input)) return;
  for (const [i, item] of input.entries())
    if (isObject(item) && item["type"] === ADDITIONAL_TOOLS) yield* objects(item["tools"], `input[${i}].tools`);
}

function* objects(value: unknown, at: string): Generator<{ tool: JsonObject; param: string }> {
  for (const [i, tool] of (arrayField(value, at) ?? []).entries()) {
    const param = `${at}[${i}]`;
    yield { tool: isObject(tool) ? tool : refuse(param, "must be an object"), param };
  }
}

type Parts = Pick<FunctionTool, "description" | "schema">;

function functionParts(tool: JsonObject, description: string | undefined, param: string): Parts {
  const schema = objectField(tool["parameters"], `${param}.parameters`) ?? { type: "object", properties: {} };
  return { ...(description !== undefined && { description }), schema };
}

/** Engines know functions only: one with the free text as its argument. A grammar, which they would not be held to, is told. */
function customParts(tool: JsonObject, description: string | undefined, param: string): Parts {
  const format = objectField(tool["format"], `${param}.format`);
  const definition =
    format?.["type"] === "grammar" ? stringField(format["definition"], `${param}.format.definition`) : "";
  const grammar = definition ? `The input must follow this grammar:\n${definition}` : undefined;
  const text = [description, grammar].filter((each) => each !== undefined).join("\n\n");
  return {
    ...(text !== "" && { description: text }),
    schema: {
      type: "object",
      properties: { input: { type: "string", description: "The tool's whole input, as plain text." } },
      required: ["input"],
      additionalProperties: false,
    },
  };
}

/** A choice of a custom tool is one of its function. */
function plainChoice(choice: unknown): unknown {
  return isObject(choice) && choice["type"] === "custom" ? { ...choice, type: "function" } : choice;
}
