/** Decodes the conversation: which message of OpenAI's five roles becomes which canonical message, in the same order. */
import type { Message, SystemPart, TextPart } from "../../conversation/request.ts";
import { decodeAssistant, newLegacyCalls } from "./decode-assistant.ts";
import { decodeParts, decodeSystem } from "./decode-content.ts";
import { isObject, refuse, requiredString } from "./fields.ts";
import type { Notes } from "./notes.ts";

export type Conversation = { system: TextPart[]; messages: Message[] };

/**
 * System and developer messages that lead become `system`; later ones keep their place. Nothing is merged, reordered or
 * dropped, so that the canonical form of request N+1 starts with that of request N.
 */
export function decodeMessages(value: unknown, notes: Notes): Conversation {
  if (!Array.isArray(value)) return refuse("messages", value === undefined ? "is missing" : "must be an array");
  if (value.length === 0) refuse("messages", "must not be empty");
  const system: TextPart[] = [];
  const messages: Message[] = [];
  const legacy = newLegacyCalls();
  for (const [i, item] of value.entries()) {
    const param = `messages[${i}]`;
    const message = isObject(item) ? item : refuse(param, "must be an object");
    const role = requiredString(message["role"], `${param}.role`);
    const { content } = message;
    if (message["name"] !== undefined && role !== "function") notes.add("field", "message.name");
    switch (role) {
      case "system":
      case "developer": {
        const said = decodeSystem(content, `${param}.content`, notes);
        if (messages.length > 0 || !leads(said, system)) messages.push({ role: "system", content: said });
        break;
      }
      case "assistant":
        messages.push({ role: "assistant", content: decodeAssistant(message, param, legacy, notes) });
        break;
      case "tool": {
        const callId = requiredString(message["tool_call_id"], `${param}.tool_call_id`);
        const result = decodeParts(content, `${param}.content`, notes);
        messages.push({ role: "user", content: [{ type: "tool-result", callId, content: result, isError: false }] });
        break;
      }
      case "function": {
        const callId = legacy.answered(requiredString(message["name"], `${param}.name`));
        const result = decodeParts(content, `${param}.content`, notes);
        messages.push({ role: "user", content: [{ type: "tool-result", callId, content: result, isError: false }] });
        break;
      }
      default:
        // A role that we do not know is somebody else's turn; as the user's, the model at least reads it.
        if (role !== "user") notes.add("role", role);
        messages.push({ role: "user", content: decodeParts(content, `${param}.content`, notes) });
    }
  }
  return { system, messages };
}

/** Puts what a leading system message says to the text at the head; false for one with images, which stays a message. */
export function leads(said: readonly SystemPart[], system: TextPart[]): boolean {
  const texts = said.filter((part) => part.type === "text");
  if (texts.length < said.length) return false;
  // One by one, here and elsewhere: as arguments of one call, many would not fit on the stack.
  for (const part of texts) system.push(part);
  return true;
}
