/** Gives each tool call of an answer an id that clients can pair results by: valid, and new to the conversation. */
import type { AnswerContext } from "../../conversation/codec.ts";
import type { ChatRequest } from "../../conversation/request.ts";

/** The engine's own id if it will do; index numbers the answer's calls from 0. */
export type ToolUseIds = (engineId: string, index: number) => string;

/** What Anthropic's API accepts in a tool_use id. */
const VALID_ID = /^[\w-]+$/;

/**
 * Engines number calls from 0 in every answer (`functions.Bash:0`) or send none; two calls of one id would get each
 * other's results. Ids do not reach the prompt of most templates, so replacing one costs nothing.
 */
export function toolUseIds(context: AnswerContext): ToolUseIds {
  let taken: Set<string> | undefined;
  return (engineId, index) => {
    taken ??= idsInHistory(context.request);
    let id = engineId;
    if (!VALID_ID.test(id) || taken.has(id)) id = `toolu_${context.requestId.replaceAll(/[^\w-]/g, "")}_${index}`;
    taken.add(id);
    return id;
  };
}

function idsInHistory(request: ChatRequest): Set<string> {
  const ids = new Set<string>();
  for (const message of request.messages) {
    if (message.role !== "assistant") continue;
    for (const part of message.content) if (part.type === "tool-call") ids.add(part.id);
  }
  return ids;
}
