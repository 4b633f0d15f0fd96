/** Decodes `messages`: each message where it stood, whatever its role. */
import type { Message, UserPart } from "../../conversation/request.ts";
import { decodeAssistantMessage } from "./decode-assistant-message.ts";
import type { DecodeContext } from "./decode-context.ts";
import { decodeSystemMessage } from "./decode-system.ts";
import { decodeUserBlock } from "./decode-user-block.ts";
import { refuse, requireArray, requireObject, requireString } from "./fields.ts";

/** Messages without any content are left out: a client that was cut off sends an empty assistant message back. */
export function decodeMessages(value: unknown, context: DecodeContext): Message[] {
  const list = requireArray(value, "messages");
  if (list.length === 0) refuse("messages", "at least one message is required");
  const messages: Message[] = [];
  for (let at = 0; at < list.length; at++) decodeMessage(list[at], `messages.${at}`, messages, context);
  if (messages.length === 0) refuse("messages", "at least one message must have content");
  return messages;
}

function decodeMessage(value: unknown, path: string, messages: Message[], context: DecodeContext): void {
  const message = requireObject(value, path);
  const role = requireString(message["role"], `${path}.role`);
  switch (role) {
    case "assistant":
      decodeAssistantMessage(message["content"], `${path}.content`, messages, context);
      return;
    case "system":
    case "developer":
      decodeSystemMessage(message, path, messages, context);
      return;
    case "user":
      break;
    default:
      // What the client's next version calls its roles must not end the session; a user's word has the least authority.
      context.ignored.note("role", role);
  }
  decodeUserMessage(message["content"], `${path}.content`, messages, context);
}

function decodeUserMessage(value: unknown, path: string, messages: Message[], context: DecodeContext): void {
  const content: UserPart[] = [];
  if (typeof value === "string") {
    if (value !== "") content.push({ type: "text", text: value });
  } else {
    const blocks = requireArray(value, path);
    for (let at = 0; at < blocks.length; at++) decodeUserBlock(blocks[at], `${path}.${at}`, content, context);
  }
  if (content.length > 0) messages.push({ role: "user", content });
}
