/**
 * A search for tools that the client runs: to an engine a function like others, whose result makes what was found callable.
 *
 * What was found is defined where it was found, and never at the head of the prompt: each search would prefill the session again.
 */
import type { AssistantPart, JsonObject, Message, ToolResultContent } from "../../conversation/request.ts";
import { requiredString, stringField } from "../openai-chat/fields.ts";
import { foundTools } from "./declared-tools.ts";
import type { ToolNames } from "./tool-names.ts";

/** The type of the tool, and the name by which the model calls it. */
export const TOOL_SEARCH = "tool_search";

/** Whether the client runs the search. What a server would find is all listed from the start. */
export function isClientSearch(type: string, tool: JsonObject): boolean {
  return type === TOOL_SEARCH && tool["execution"] === "client";
}

/** Undefined for a search that another server ran: only what it found matters. */
export function decodeSearchCall(item: JsonObject, param: string, names: ToolNames): AssistantPart | undefined {
  const id = stringField(item["call_id"], `${param}.call_id`);
  if (id === undefined) return undefined;
  const sent = item["arguments"] ?? {};
  const text = typeof sent === "string" ? sent : JSON.stringify(sent);
  return { type: "tool-call", id, name: names.engineName(TOOL_SEARCH, undefined), arguments: text };
}

export function decodeSearchOutput(item: JsonObject, param: string, names: ToolNames): Message {
  const content: Exclude<ToolResultContent, { type: "document" | "image" }>[] = [];
  for (const { type, tool, param: at, namespace } of foundTools(item, param)) {
    if (type !== "function" && type !== "custom") continue;
    const name = requiredString(tool["name"], `${at}.name`);
    content.push({ type: "tool-reference", name: names.engineName(name, namespace) });
  }
  if (content.length === 0) content.push({ type: "text", text: "No tool was found." });
  const callId = stringField(item["call_id"], `${param}.call_id`);
  if (callId === undefined) return { role: "user", content };
  return { role: "user", content: [{ type: "tool-result", callId, content, isError: false }] };
}
