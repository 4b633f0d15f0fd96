/** Decodes an assistant message: reasoning that comes back, text, and tool calls in today's and the legacy form. */
import type { AssistantPart, JsonObject, ToolCallPart } from "../../conversation/request.ts";
import { decodeText } from "./decode-content.ts";
import { arrayField, isObject, objectField, refuse, requiredString } from "./fields.ts";
import type { Notes } from "./notes.ts";

/**
 * Gives the ids to legacy calls (`function_call`), which have none on the wire: numbered in the order of the
 * conversation, so that they are the same in every later request. A result answers the latest open call of its name.
 */
export type LegacyCalls = { called(name: string): string; answered(name: string): string };

export function newLegacyCalls(): LegacyCalls {
  let count = 0;
  const open = new Map<string, string[]>();
  const called = (name: string): string => {
    const id = `call_legacy_${count++}`;
    const same = open.get(name);
    if (same === undefined) open.set(name, [id]);
    else same.push(id);
    return id;
  };
  return {
    called,
    // A result that nobody asked for is kept, under an id of its own.
    answered: (name) => open.get(name)?.pop() ?? `call_legacy_${count++}`,
  };
}

/** Reasoning first, then text, then calls: the order in which models write them, and in which we answered. */
export function decodeAssistant(
  message: JsonObject,
  param: string,
  legacy: LegacyCalls,
  notes: Notes,
): AssistantPart[] {
  const parts: AssistantPart[] = [];
  const reasoning = reasoningText(message);
  if (reasoning !== undefined) parts.push({ type: "reasoning", text: reasoning, signed: "none" });
  for (const part of decodeText(message["content"], `${param}.content`, notes)) parts.push(part);
  const { refusal } = message;
  if (typeof refusal === "string" && refusal !== "") parts.push({ type: "text", text: refusal });
  const calls = arrayField(message["tool_calls"], `${param}.tool_calls`) ?? [];
  for (const [i, call] of calls.entries()) parts.push(decodeCall(call, `${param}.tool_calls[${i}]`));
  const legacyCall = objectField(message["function_call"], `${param}.function_call`);
  if (legacyCall !== undefined) {
    const name = requiredString(legacyCall["name"], `${param}.function_call.name`);
    const text = argumentsText(legacyCall["arguments"], `${param}.function_call.arguments`);
    parts.push({ type: "tool-call", id: legacy.called(name), name, arguments: text });
  }
  if (message["audio"] !== undefined && message["audio"] !== null) notes.add("field", "message.audio");
  if (message["reasoning_details"] !== undefined) notes.add("field", "message.reasoning_details");
  return parts;
}

/** We answer under both names, and clients send one or both back. Anything but text is not from us. */
function reasoningText(message: JsonObject): string | undefined {
  for (const name of ["reasoning_content", "reasoning"]) {
    const text = message[name];
    if (typeof text === "string" && text !== "") return text;
  }
  return undefined;
}

function decodeCall(value: unknown, param: string): ToolCallPart {
  const call = isObject(value) ? value : refuse(param, "must be an object");
  const id = requiredString(call["id"], `${param}.id`);
  if (call["type"] === "custom") {
    // A call of a free-form tool, from a history with another server: its input is plain text, not JSON.
    const custom = objectField(call["custom"], `${param}.custom`) ?? refuse(`${param}.custom`, "is missing");
    const name = requiredString(custom["name"], `${param}.custom.name`);
    return { type: "tool-call", id, name, arguments: JSON.stringify({ input: custom["input"] ?? "" }) };
  }
  const called = objectField(call["function"], `${param}.function`) ?? refuse(`${param}.function`, "is missing");
  const name = requiredString(called["name"], `${param}.function.name`);
  return { type: "tool-call", id, name, arguments: argumentsText(called["arguments"], `${param}.function.arguments`) };
}

/** JSON text as it came. Some clients send the object itself; an empty text means no arguments. */
function argumentsText(value: unknown, param: string): string {
  if (value === undefined || value === null || value === "") return "{}";
  if (typeof value === "string") return value;
  return isObject(value) ? JSON.stringify(value) : refuse(param, "must be a string of JSON");
}
