/**
 * Knows what becomes of tools that the client expects the server to run (web search, web fetch, code execution).
 *
 * No engine can run them and engines refuse their definitions, so they are left out of `tools` and the model is told: left
 * untold, it answers Claude Code's search request with results that it made up.
 */
import { type Tool, isToolSearch } from "../../conversation/request.ts";

/** The names of the server tools that a request declares and that are missed, in its order: what a tool search would find is all there. */
export function unavailableServerTools(tools: readonly Tool[]): string[] {
  let names: string[] | undefined;
  for (const tool of tools) if (tool.type === "server" && !isToolSearch(tool)) (names ??= []).push(tool.name);
  return names ?? [];
}

/** One sentence at the end of the system text, the same as long as the client declares the same tools. */
export function unavailableText(names: readonly string[]): string {
  if (names.length === 0) return "";
  const list = names.join(", ");
  return `Not available here: ${list}. Asked for what only ${names.length === 1 ? "this tool" : "these tools"} could tell, say that ${list} cannot be used on this server, and do not invent results.`;
}
