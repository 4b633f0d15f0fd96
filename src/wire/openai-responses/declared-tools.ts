/** Finds the tools of a request wherever they stand: in its list, in items of its input, in namespaces. */
import type { JsonObject } from "../../conversation/request.ts";
import { arrayField, isObject, refuse, requiredString } from "../openai-chat/fields.ts";

/** The type of an item that adds tools to those of the request. */
export const ADDITIONAL_TOOLS = "additional_tools";
/** The type of an item with the tools that the client found for the model. */
export const TOOL_SEARCH_OUTPUT = "tool_search_output";

export type DeclaredTool = { type: string; tool: JsonObject; param: string; namespace?: string };

/**
 * The tools of the request, and those that items of its input add. For some models Codex has all of its tools in such an item. They stand in
 * the head with the others, wherever the item is.
 */
export function headTools(body: JsonObject): Generator<DeclaredTool> {
  return flat(
    (function* () {
      yield* objects(body["tools"], "tools");
      for (const { item, param } of items(body, ADDITIONAL_TOOLS)) yield* objects(item["tools"], `${param}.tools`);
    })(),
  );
}

/** The tools that were found in the course of the conversation, in its order: those of a longer one begin with those of a shorter. */
export function* foundLater(body: JsonObject): Generator<DeclaredTool> {
  for (const { item, param } of items(body, TOOL_SEARCH_OUTPUT)) yield* foundTools(item, param);
}

/** The tools that one item brings which tells what was found. */
export function foundTools(item: JsonObject, param: string): Generator<DeclaredTool> {
  return flat(objects(item["tools"], `${param}.tools`));
}

/** Those of namespaces come after the plain ones, so that those keep their names whatever the order. */
function* flat(tools: Iterable<{ tool: JsonObject; param: string }>): Generator<DeclaredTool> {
  const spaces: { tool: JsonObject; param: string }[] = [];
  for (const { tool, param } of tools) {
    const type = requiredString(tool["type"], `${param}.type`);
    if (type === "namespace") spaces.push({ tool, param });
    else yield { type, tool, param };
  }
  for (const space of spaces) {
    const namespace = requiredString(space.tool["name"], `${space.param}.name`);
    for (const { tool, param } of objects(space.tool["tools"], `${space.param}.tools`))
      yield { type: requiredString(tool["type"], `${param}.type`), tool, param, namespace };
  }
}

function* items(body: JsonObject, type: string): Generator<{ item: JsonObject; param: string }> {
  const { input } = body;
  if (!Array.isArray(input)) return;
  for (const [i, item] of input.entries())
    if (isObject(item) && item["type"] === type) yield { item, param: `input[${i}]` };
}

function* objects(value: unknown, at: string): Generator<{ tool: JsonObject; param: string }> {
  for (const [i, tool] of (arrayField(value, at) ?? []).entries()) {
    const param = `${at}[${i}]`;
    yield { tool: isObject(tool) ? tool : refuse(param, "must be an object"), param };
  }
}
