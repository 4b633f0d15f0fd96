/** What the chat template makes of a conversation, where the engine tells: tokens written out again, or llama.cpp's own rendering. */
import type { JsonObject } from "../conversation/request.ts";
import { asText, jsonAnswer } from "../engine/json-fields.ts";
import { type AskEngine, type EngineReply, wordsOf } from "./ask-engine.ts";

export type Rendered =
  | { kind: "text"; text: string }
  /** The engine has no way to render a chat. */
  | { kind: "untold"; why: string }
  /** The template refused the conversation. */
  | { kind: "refused"; words: string };

/** `chat`: model, messages, and tools where there are any. Rejects with a `GatewayError` where no answer comes. */
export async function renderPrompt(ask: AskEngine, chat: JsonObject): Promise<Rendered> {
  const tokenized = await ask("/tokenize", chat);
  if (tokenized.status === 400) return { kind: "refused", words: wordsOf(tokenized) };
  const tokens = jsonAnswer(tokenized)?.["tokens"];
  // llama.cpp takes text there, and says of a chat that it has no tokens.
  if (!Array.isArray(tokens) || tokens.length === 0) return await applyTemplate(ask, chat, tokenized);
  const written = await ask("/detokenize", { model: chat["model"], tokens });
  const text = asText(jsonAnswer(written)?.["prompt"]);
  return text === undefined ? { kind: "untold", why: missing("/detokenize", written) } : { kind: "text", text };
}

async function applyTemplate(ask: AskEngine, chat: JsonObject, tokenized: EngineReply): Promise<Rendered> {
  const applied = await ask("/apply-template", chat);
  const text = asText(jsonAnswer(applied)?.["prompt"]);
  if (text !== undefined) return { kind: "text", text };
  if (applied.status === 400 || applied.status === 500) return { kind: "refused", words: wordsOf(applied) };
  return { kind: "untold", why: missing("/tokenize", tokenized) };
}

function missing(path: string, { status }: EngineReply): string {
  return status === 200 ? `the engine's ${path} takes no chats` : `the engine has no ${path} (${status})`;
}
