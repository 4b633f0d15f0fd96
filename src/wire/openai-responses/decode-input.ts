/** Decodes `instructions` and `input`: which Responses item becomes which canonical message, in the same order. */
import type { AssistantPart, JsonObject, Message, TextPart, ToolResultContent } from "../../conversation/request.ts";
import { type Conversation, leads } from "../openai-chat/decode-messages.ts";
import { decodeSystem, decodeText } from "../openai-chat/decode-content.ts";
import { arrayField, isObject, refuse, requiredString, stringField } from "../openai-chat/fields.ts";
import type { Notes } from "../openai-chat/notes.ts";
import { decodeParts, imageOf } from "./decode-parts.ts";
import { ADDITIONAL_TOOLS, TOOL_SEARCH_OUTPUT } from "./declared-tools.ts";
import { unpackReasoning } from "./reasoning-carrier.ts";
import type { ToolNames } from "./tool-names.ts";
import { decodeSearchCall, decodeSearchOutput } from "./tool-search.ts";

/**
 * Instructions and leading system or developer messages become `system`; later ones keep their place. One answer comes
 * back as several items (reasoning, text, calls): those that follow each other are one assistant message again.
 */
export function decodeInput(body: JsonObject, names: ToolNames, notes: Notes): Conversation {
  const system: TextPart[] = decodeText(body["instructions"], "instructions", notes);
  const messages: Message[] = [];
  const { input } = body;
  if (input === undefined || input === null) return refuse("input", "is missing");
  if (typeof input === "string") {
    if (input === "") refuse("input", "must not be empty");
    return { system, messages: [{ role: "user", content: [{ type: "text", text: input }] }] };
  }
  const items = Array.isArray(input) ? input : refuse("input", "must be a string or an array of items");
  if (items.length === 0) refuse("input", "must not be empty");
  for (const [i, value] of items.entries()) {
    const param = `input[${i}]`;
    const item = isObject(value) ? value : refuse(param, "must be an object");
    const decoded = decodeItem(item, param, names, notes);
    if (decoded === undefined) continue;
    const last = messages.at(-1);
    if (decoded.role === "system" && messages.length === 0 && leads(decoded.content, system)) continue;
    // One by one: as arguments of one call, many would not fit on the stack.
    if (decoded.role === "assistant" && last?.role === "assistant")
      for (const part of decoded.content) last.content.push(part);
    else messages.push(decoded);
  }
  return { system, messages };
}

/** Undefined for an item that means nothing to an engine. */
function decodeItem(item: JsonObject, param: string, names: ToolNames, notes: Notes): Message | undefined {
  // Messages may come without a type; nothing else has a role.
  const type = stringField(item["type"], `${param}.type`) ?? ("role" in item ? "message" : "item_reference");
  switch (type) {
    case "message":
      return decodeMessage(item, param, notes);
    case "agent_message": {
      // Codex: what another of its agents says to this one, such as a task or a report.
      const content = decodeParts(item["content"], `${param}.content`, notes);
      return content.length === 0 ? undefined : { role: "user", content };
    }
    case "function_call":
    case "custom_tool_call":
      return { role: "assistant", content: [decodeCall(item, type === "custom_tool_call", param, names)] };
    case "function_call_output":
    case "custom_tool_call_output": {
      const callId = requiredString(item["call_id"], `${param}.call_id`);
      const content: ToolResultContent[] = decodeParts(item["output"], `${param}.output`, notes);
      return { role: "user", content: [{ type: "tool-result", callId, content, isError: false }] };
    }
    case "tool_search_call": {
      const call = decodeSearchCall(item, param, names);
      return call && { role: "assistant", content: [call] };
    }
    case TOOL_SEARCH_OUTPUT:
      return decodeSearchOutput(item, param, names);
    case "reasoning":
      return decodeReasoningItem(item, param, notes);
    case "item_reference":
      return refuse(param, "refers to a stored item, and nothing is stored here; send the item itself");
    case ADDITIONAL_TOOLS:
      return undefined;
    default:
      notes.add("block", type);
      return undefined;
  }
}

function decodeMessage(item: JsonObject, param: string, notes: Notes): Message {
  const role = requiredString(item["role"], `${param}.role`);
  const at = `${param}.content`;
  switch (role) {
    case "system":
    case "developer":
      return { role: "system", content: decodeSystem(item["content"], at, notes, imageOf) };
    case "assistant":
      return { role: "assistant", content: decodeText(item["content"], at, notes) };
    default:
      // A role that we do not know is somebody else's turn; as the user's, the model at least reads it.
      if (role !== "user") notes.add("role", role);
      return { role: "user", content: decodeParts(item["content"], at, notes) };
  }
}

function decodeCall(item: JsonObject, custom: boolean, param: string, names: ToolNames): AssistantPart {
  const id = requiredString(item["call_id"], `${param}.call_id`);
  const called = requiredString(item["name"], `${param}.name`);
  const name = names.engineName(called, stringField(item["namespace"], `${param}.namespace`));
  if (custom) {
    const input = stringField(item["input"], `${param}.input`) ?? "";
    return { type: "tool-call", id, name, arguments: JSON.stringify({ input }) };
  }
  const text = stringField(item["arguments"], `${param}.arguments`) ?? "";
  return { type: "tool-call", id, name, arguments: text === "" ? "{}" : text };
}

/** The text, wherever it stands. An item that another server encrypted or summed up says nothing to this engine. */
function decodeReasoningItem(item: JsonObject, param: string, notes: Notes): Message | undefined {
  const parts = arrayField(item["content"], `${param}.content`) ?? [];
  const texts = parts.flatMap((part) => (isObject(part) && typeof part["text"] === "string" ? [part["text"]] : []));
  const text = texts.length > 0 ? texts.join("") : unpackReasoning(item["encrypted_content"]);
  if (text === undefined) {
    notes.add("block", "reasoning");
    return undefined;
  }
  return text === "" ? undefined : { role: "assistant", content: [{ type: "reasoning", text, signed: "none" }] };
}
