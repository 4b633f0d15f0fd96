/**
 * Renders tools for the engine: in the client's order, each schema with its keys in the client's order.
 *
 * Tools stand at the head of the prompt, before all messages: another order of them left 13.5 % of the cache usable, another
 * order of a schema's keys 20 %, a `strict` that comes and goes 23 %. So nothing is sorted, added or cleaned here.
 */
import type { ChatRequest, FunctionTool } from "../../conversation/request.ts";
import type { PromptProfile } from "./prompt-profile.ts";

type Strict = PromptProfile["strictTools"];
type HeadProfile = Pick<PromptProfile, "strictTools" | "namedToolChoice">;

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
export function headTools(request: ChatRequest, profile: HeadProfile): string[] {
  const forced = request.toolChoice?.type === "tool" ? request.toolChoice.name : undefined;
  const only = onlyTool(request, profile);
  if (only !== undefined) return [toolDefinition(only, profile.strictTools)];
  const rendered: string[] = [];
  for (const tool of request.tools) {
    if (tool.type !== "function") continue;
    if (!tool.deferred || tool.name === forced) rendered.push(toolDefinition(tool, profile.strictTools));
  }
  return rendered;
}

/**
 * The tool whose call the client forces, where the engine takes no name: left as the only one, `required` can but call it. That
 * head is another than the conversation's, but an engine that drops the choice would not call at all.
 */
export function onlyTool(
  { toolChoice, tools }: Pick<ChatRequest, "toolChoice" | "tools">,
  { namedToolChoice }: Pick<PromptProfile, "namedToolChoice">,
): FunctionTool | undefined {
  if (namedToolChoice === "object" || toolChoice?.type !== "tool") return undefined;
  return tools.find((tool): tool is FunctionTool => tool.type === "function" && tool.name === toolChoice.name);
}
