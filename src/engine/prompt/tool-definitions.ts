/**
 * Renders tools for the engine: in the client's order, each schema with its keys in the client's order.
 *
 * Tools stand at the head of the prompt, before all messages: another order of them left 13.5 % of the cache usable, another
 * order of a schema's keys 20 %, a `strict` that comes and goes 23 %. So nothing is sorted, added or cleaned here.
 */
import type { ChatRequest, FunctionTool } from "../../conversation/request.ts";
import type { PromptProfile } from "./prompt-profile.ts";

type Strict = PromptProfile["strictTools"];

/** The engine's form of one tool, as JSON. */
export function toolDefinition(tool: FunctionTool, strict: Strict): string {
  const sent = strict === "as-sent" ? tool.strict : strict === "always" ? true : undefined;
  return JSON.stringify({
    type: "function",
    // JSON.stringify leaves out what is undefined.
    function: { name: tool.name, description: tool.description, parameters: tool.schema, strict: sent },
  });
}

/**
 * The tools at the head of the prompt. Late ones are not among them, referenced or not (see late-tools.ts), unless the
 * client forces a call of one: engines refuse a named choice that is not listed. Server tools are nobody's to run.
 */
export function headTools(request: ChatRequest, strict: Strict): string[] {
  const forced = request.toolChoice?.type === "tool" ? request.toolChoice.name : undefined;
  const rendered: string[] = [];
  for (const tool of request.tools) {
    if (tool.type !== "function") continue;
    if (!tool.deferred || tool.name === forced) rendered.push(toolDefinition(tool, strict));
  }
  return rendered;
}
