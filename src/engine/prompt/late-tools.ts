/**
 * Renders a late tool (`defer_loading`) where its reference stands in the conversation.
 *
 * Added to the tools at the head, each search for a tool would prefill the session again (36-53 % reused; as text where
 * it is referenced: 99 %). The model calls it as it calls the others; tool parsers do not ask whether it was listed.
 */
import type { ChatRequest, FunctionTool } from "../../conversation/request.ts";
import type { PromptProfile } from "./prompt-profile.ts";
import { toolDefinition } from "./tool-definitions.ts";

/** Gives the text for each tool reference of one request, called in the order in which they stand. */
export type RenderReference = (name: string) => string;

export function lateTools(request: ChatRequest, strict: PromptProfile["strictTools"]): RenderReference {
  let byName: Map<string, FunctionTool> | undefined;
  const shown = new Set<string>();
  return (name) => {
    byName ??= new Map(request.tools.flatMap((tool) => (tool.type === "function" ? [[tool.name, tool]] : [])));
    const tool = byName.get(name);
    if (!tool) return `The tool ${name} is no longer available.`;
    // Listed at the head, or defined further up: what stands above does not change, so neither does this.
    if (!tool.deferred || shown.has(name)) return `The tool ${name} is available.`;
    shown.add(name);
    return `The tool ${name} is now available. Call it as you call the other tools:\n<tools>\n${toolDefinition(tool, strict)}\n</tools>`;
  };
}
