/** Decodes `tools`: those that the client runs, and those that it expects the server to run. */
import { type JsonObject, type Tool, isToolSearch } from "../../conversation/request.ts";
import { clientTool } from "./client-tools.ts";
import type { DecodeContext } from "./decode-context.ts";
import { isGiven, isObject, optionalString, refuse, requireArray, requireName, requireObject } from "./fields.ts";

/** Late definitions, from inside the conversation, come after the others, deferred. */
export function decodeTools(value: unknown, context: DecodeContext): Tool[] {
  const tools: Tool[] = [];
  if (isGiven(value)) {
    const list = requireArray(value, "tools");
    for (let at = 0; at < list.length; at++) tools.push(decodeTool(list[at], `tools.${at}`, context));
  }
  // What only the server's own search could have found would stay out of reach: here all of it is listed from the start.
  if (tools.some((tool) => tool.type === "server" && isToolSearch(tool)))
    for (const tool of tools) if (tool.type === "function") tool.deferred = false;
  for (const { definition, path } of context.lateTools) {
    const tool = decodeTool(definition, path, context);
    if (tool.type === "function") tool.deferred = true;
    tools.push(tool);
  }
  return tools;
}

function decodeTool(value: unknown, path: string, context: DecodeContext): Tool {
  const tool = requireObject(value, path);
  const type = optionalString(tool["type"], `${path}.type`) ?? "custom";
  if (type === "custom") return functionTool(tool, path, context);
  const known = clientTool(type);
  if (known !== undefined)
    return functionTool({ description: known.description, input_schema: known.schema, ...tool }, path, context);
  // A type newer than this file is a server's unless it brings a schema.
  if (isObject(tool["input_schema"])) {
    context.ignored.note("tool", type);
    return functionTool(tool, path, context);
  }
  return { type: "server", name: serverToolName(tool) ?? type, kind: type };
}

function functionTool(tool: JsonObject, path: string, context: DecodeContext): Tool {
  const name = requireName(tool["name"], `${path}.name`);
  const schema = tool["input_schema"];
  if (!isObject(schema))
    return refuse(
      `${path}.input_schema`,
      schema === undefined ? `Field required (tool ${name})` : `Input should be a valid object (tool ${name})`,
    );
  const decoded: Tool = { type: "function", name, schema, deferred: tool["defer_loading"] === true };
  const description = optionalString(tool["description"], `${path}.description`);
  if (description !== undefined) decoded.description = description;
  if (typeof tool["strict"] === "boolean") decoded.strict = tool["strict"];
  if (isGiven(tool["input_examples"])) context.ignored.note("tool", "input_examples");
  return decoded;
}

function serverToolName(tool: JsonObject): string | undefined {
  const name = tool["name"] ?? tool["mcp_server_name"];
  return typeof name === "string" && name !== "" ? name : undefined;
}
