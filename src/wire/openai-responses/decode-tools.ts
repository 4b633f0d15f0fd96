/** Decodes tools: flat functions, namespaces of them, free-text (`custom`) ones, the client's own search for more, and what the client wants of them. */
import type { FunctionTool, JsonObject, ResponsesToolKind, ToolChoice } from "../../conversation/request.ts";
import { applyChoice, decodeChoice } from "../openai-chat/decode-tools.ts";
import { booleanField, isObject, objectField, requiredString, stringField } from "../openai-chat/fields.ts";
import type { Notes } from "../openai-chat/notes.ts";
import { type DeclaredTool, foundLater, headTools } from "./declared-tools.ts";
import type { ToolNames } from "./tool-names.ts";
import { isClientSearch, TOOL_SEARCH } from "./tool-search.ts";

export function decodeTools(
  body: JsonObject,
  names: ToolNames,
  notes: Notes,
): { tools: FunctionTool[]; toolChoice?: ToolChoice } {
  const tools: FunctionTool[] = [];
  const places = new Map<string, number>();
  for (const declared of headTools(body)) {
    const tool = decodeTool(declared, names, notes);
    if (tool === undefined) continue;
    // Said once more, perhaps in other words: the latest counts, and stands where the tool stood.
    const place = places.get(tool.name) ?? tools.length;
    places.set(tool.name, place);
    tools[place] = tool;
  }
  for (const declared of foundLater(body)) {
    const tool = decodeTool(declared, names, notes);
    // Found once more: the first counts, for its definition stands in the prompt already.
    if (tool === undefined || places.has(tool.name)) continue;
    places.set(tool.name, tools.length);
    tools.push({ ...tool, deferred: true });
  }
  return applyChoice(tools, decodeChoice(plainChoice(body["tool_choice"])), "tool_choice");
}

function decodeTool(
  { type, tool, param, namespace }: DeclaredTool,
  names: ToolNames,
  notes: Notes,
): FunctionTool | undefined {
  const kind = kindOf(type, tool);
  // Hosted tools (web_search, file_search, …) are OpenAI's to run; nobody runs them here.
  if (kind === undefined) {
    notes.add("tool", type);
    return undefined;
  }
  const name = kind === "search" ? TOOL_SEARCH : requiredString(tool["name"], `${param}.name`);
  const description = stringField(tool["description"], `${param}.description`);
  const strict = booleanField(tool["strict"], `${param}.strict`);
  return {
    type: "function",
    name: names.add(name, namespace, kind),
    ...(kind === "custom" ? customParts(tool, description, param) : functionParts(tool, description, param)),
    ...(strict !== undefined && { strict }),
    deferred: false,
  };
}

function kindOf(type: string, tool: JsonObject): ResponsesToolKind | undefined {
  if (type === "function" || type === "custom") return type;
  return isClientSearch(type, tool) ? "search" : undefined;
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

/** A choice of a custom tool, or of the search for tools, is one of its function. */
function plainChoice(choice: unknown): unknown {
  if (!isObject(choice)) return choice;
  if (choice["type"] === TOOL_SEARCH) return { type: "function", name: TOOL_SEARCH };
  return choice["type"] === "custom" ? { ...choice, type: "function" } : choice;
}
