/** Gives each tool call of an answer an id that is new to the conversation, so that clients pair results with their own calls. */
import type { AnswerContext } from "../../conversation/codec.ts";
import type { ChatRequest } from "../../conversation/request.ts";

/**
 * The engine's own id where that will do, since some templates render it (Kimi's `functions.read:3`). Others number calls
 * from 0 in every answer; `index` numbers the calls of this one.
 */
export function callIds(context: AnswerContext): (engineId: string, index: number) => string {
  let taken: Set<string> | undefined;
  return (engineId, index) => {
    taken ??= idsIn(context.request);
    const id = engineId === "" || taken.has(engineId) ? `call_${context.requestId}_${index}` : engineId;
    taken.add(id);
    return id;
  };
}

function idsIn(request: ChatRequest): Set<string> {
  const ids = new Set<string>();
  for (const message of request.messages) {
    if (message.role !== "assistant") continue;
    for (const part of message.content) if (part.type === "tool-call") ids.add(part.id);
  }
  return ids;
}
