/** Decodes `tool_choice`, and checks it against the tools, because engines answer a wrong one in ways of their own. */
import type { JsonObject, Tool, ToolChoice } from "../../conversation/request.ts";
import { isGiven, optionalBoolean, refuse, requireName, requireObject, requireString } from "./fields.ts";

export type DecodedToolChoice = { toolChoice?: ToolChoice; parallelToolCalls?: boolean };

export function decodeToolChoice(body: JsonObject, tools: readonly Tool[]): DecodedToolChoice {
  if (!isGiven(body["tool_choice"])) return {};
  const choice = requireObject(body["tool_choice"], "tool_choice");
  const toolChoice = decodeChoice(choice, tools);
  const disabled = optionalBoolean(choice["disable_parallel_tool_use"], "tool_choice.disable_parallel_tool_use");
  return disabled === undefined ? { toolChoice } : { toolChoice, parallelToolCalls: !disabled };
}

function decodeChoice(choice: JsonObject, tools: readonly Tool[]): ToolChoice {
  const type = requireString(choice["type"], "tool_choice.type");
  switch (type) {
    case "auto":
      return { type: "auto" };
    case "none":
      return { type: "none" };
    case "any":
      if (tools.length === 0) refuse("tool_choice", '"any" may only be specified while providing tools');
      return { type: "required" };
    case "tool": {
      const name = requireName(choice["name"], "tool_choice.name");
      if (!tools.some((tool) => tool.name === name)) refuse("tool_choice.name", `tool ${name} is not among the tools`);
      return { type: "tool", name };
    }
    default:
      return refuse("tool_choice.type", 'Input should be "auto", "any", "tool" or "none"');
  }
}
