/** What the chat template makes of a conversation, where the engine tells: tokenized, and the tokens written out again. */
import type { JsonObject } from "../conversation/request.ts";
import { asCount, asText, jsonAnswer } from "../engine/json-fields.ts";
import { type AskEngine, type EngineReply, wordsOf } from "./ask-engine.ts";

export type Rendered =
  | { kind: "text"; text: string; tokens: number }
  /** The engine does not render: it has no such endpoint, or it takes no chats there. */
  | { kind: "untold"; why: string }
  /** The template refused the conversation. */
  | { kind: "refused"; words: string };

/** `chat`: model, messages, and tools where there are any. Rejects with a `GatewayError` where no answer comes. */
export async function renderPrompt(ask: AskEngine, chat: JsonObject): Promise<Rendered> {
  const tokenized = await ask("/tokenize", chat);
  if (tokenized.status === 400) return { kind: "refused", words: wordsOf(tokenized) };
  const answer = fieldsOf(tokenized);
  const tokens = answer?.["tokens"];
  const count = asCount(answer?.["count"]);
  if (!Array.isArray(tokens) || count === undefined) return { kind: "untold", why: missing("/tokenize", tokenized) };
  const written = await ask("/detokenize", { model: chat["model"], tokens });
  const text = asText(fieldsOf(written)?.["prompt"]);
  if (text === undefined) return { kind: "untold", why: missing("/detokenize", written) };
  return { kind: "text", text, tokens: count };
}

function fieldsOf({ status, text }: EngineReply) {
  return jsonAnswer({ status, headers: {}, text });
}

function missing(path: string, { status }: EngineReply): string {
  return status === 200 ? `the engine's ${path} takes no chats` : `the engine has no ${path} (${status})`;
}
