/** Reads calls that are JSON: an object with the name and arguments, OpenAI's nested form, or an array of them. */
import { asByteText, fromByteText } from "../conversation/byte-text.ts";
import { isObject } from "../base/is-object.ts";
import { readExact } from "../base/exact-json.ts";
import { LenientJson, type Member, written } from "./lenient-json.ts";
import { matchKeys, matchName } from "./match-name.ts";
import { type Context, type FoundCall, NO, type Reading, callOf, makeCall } from "./reading.ts";

const NAME_KEYS = [
  "name",
  "function",
  "tool",
  "tool_name",
  "function_name",
  "toolName",
  "recipient_name",
  "method",
  "action",
];
const ARGUMENT_KEYS = ["arguments", "parameters", "params", "args", "input", "tool_input", "toolInput", "action_input"];
const WRAPPERS = ["function", "tool_call", "function_call", "tool_calls"];
const OTHER_KEYS = [
  "type",
  "id",
  "jsonrpc",
  "index",
  "call_id",
  "tool_call_id",
  "description",
  "thought",
  "explanation",
];
const CALL_KEYS = new Set([...NAME_KEYS, ...ARGUMENT_KEYS, ...WRAPPERS, ...OTHER_KEYS]);
/** What closes a call's place, where its JSON could not be read to its end. */
const CLOSING =
  /<\/[\w:]+>|<\|[\w ]*(?:end|call)[\w ]*\|>|<tool_call\|>|<\xef\xbd\x9c[^<>\n]{0,40}end\xef\xbd\x9c>|\n```|\[\/TOOL/i;

/** `nameless` when an opener took the name's place. */
export function readJson(text: string, at: number, context: Context, nameless: boolean): Reading {
  const reader = new LenientJson(text, at, context.final);
  const json = reader.value();
  if (json === undefined) {
    if (!context.marked && !nameless && !looksLikeCall(reader.members, text, at, context)) return NO;
    return reader.short && !context.final
      ? { state: "more", until: context.marked ? "}" : "" }
      : rescue(text, at, context);
  }
  const calls = text[at] === "[" ? fromArray(json, context) : fromObject(reader.members, context, nameless, 0);
  if (calls === undefined || calls.length === 0) return { state: "no", end: reader.at };
  if (reader.mended)
    for (const call of calls) if (call.repair === "dialect" || call.repair === "bare") call.repair = "arguments";
  return { state: "calls", calls, end: reader.at };
}

/** Whether what was read of an object so far may become a call: keys of calls, and a name that was declared. */
function looksLikeCall(members: readonly Member[], text: string, at: number, context: Context): boolean {
  for (const { key, json } of members) {
    if (!CALL_KEYS.has(key)) return false;
    if (!NAME_KEYS.includes(key) || !json.startsWith('"')) continue;
    const name = nameIn(json);
    if (name === undefined || matchName(fromByteText(asByteText(name)), context.vocabulary.tools) === undefined)
      return false;
  }
  if (members.length > 0) return true;
  const key = /^[{[][\s[{]*(?:["']|\xe2\x80[\x9c\x9d])?(\w{0,40})(["':\s]|\xe2)?/.exec(text.slice(at, at + 120));
  if (key === null) return false;
  const [, word = "", end] = key;
  if (end !== undefined && word !== "") return CALL_KEYS.has(word);
  return (
    text.length - at < 120 &&
    key[0].length === text.length - at &&
    [...CALL_KEYS].some((known) => known.startsWith(word))
  );
}

function fromArray(json: string, context: Context): FoundCall[] | undefined {
  const reader = /\s*[[,]\s*/y;
  const calls: FoundCall[] = [];
  let at = 0;
  for (;;) {
    reader.lastIndex = at;
    if (!reader.test(json) || json[reader.lastIndex] !== "{") break;
    const element = new LenientJson(json, reader.lastIndex, true);
    if (element.value() === undefined) return undefined;
    const made = fromObject(element.members, context, false, 1);
    // All or none: a list in which something else stands is not a list of calls.
    if (made === undefined) return undefined;
    calls.push(...made);
    at = element.at;
  }
  return json.slice(at).trim() === "]" ? calls : undefined;
}

function fromObject(
  members: readonly Member[],
  context: Context,
  nameless: boolean,
  depth: number,
): FoundCall[] | undefined {
  const find = (keys: readonly string[], starts: RegExp): Member | undefined =>
    members.find(({ key, json }) => keys.includes(key) && starts.test(json));
  const name = NAME_KEYS.map((key) => find([key], /^"/)).find((member) => member !== undefined);
  const args = find(ARGUMENT_KEYS, /^[{"]/) ?? find(ARGUMENT_KEYS, /^null/);
  const wrapper = find(WRAPPERS, /^[{[]/);
  if (name === undefined && wrapper !== undefined && depth < 3) {
    if (wrapper.json.startsWith("[")) return fromArray(wrapper.json, context);
    const inner = new LenientJson(wrapper.json, 0, true);
    inner.value();
    return fromObject(inner.members, context, nameless, depth + 1);
  }
  if (name !== undefined && (!nameless || args !== undefined)) {
    const text = nameIn(name.json);
    if (text === undefined) return undefined;
    if (args !== undefined) return one(makeCall(text, args.json, context, false));
    // Arguments beside the name, where a marker says that a call is meant.
    if (!context.marked) return undefined;
    const rest = members.filter((member) => member !== name && !["type", "id"].includes(member.key));
    return one(makeCall(text, written(rest), context, rest.length > 0));
  }
  if (nameless) {
    const json = args?.json.startsWith("{") === true ? args.json : written(members);
    const value = readExact(fromByteText(asByteText(json)));
    const tool = isObject(value) ? matchKeys(Object.keys(value), context.vocabulary.tools) : undefined;
    return tool === undefined ? undefined : one(callOf(tool, json, context, "name"));
  }
  const [only] = members;
  if (context.marked && members.length === 1 && only?.json.startsWith("{") === true) {
    const tool = context.vocabulary.named(fromByteText(asByteText(only.key)));
    return tool === undefined ? undefined : one(callOf(tool, only.json, context, false));
  }
  return undefined;
}

function one(call: FoundCall | undefined): FoundCall[] | undefined {
  return call === undefined ? undefined : [call];
}

/** JSON that could not be read as it stands, up to what closes it: its argument text is left to be mended. */
function rescue(text: string, at: number, context: Context): Reading {
  const slice = text.slice(at);
  const closing = CLOSING.exec(slice);
  if (closing === null && !context.final) return { state: "more", until: "" };
  const body = slice.slice(0, closing?.index ?? slice.length).trimEnd();
  const no: Reading = { state: "no", end: at + Math.max(1, body.length) };
  const head =
    /^\{\s*"(?:name|function|tool)"\s*:\s*"([^"\\]{1,200})"\s*,\s*"(?:arguments|parameters|params|args|input)"\s*:\s*/.exec(
      body,
    );
  if (head === null || context.cut || !body.endsWith("}"))
    return closing === null ? { state: "no", end: text.length } : no;
  const json = body.slice(head[0].length, -1).trimEnd();
  const call = makeCall(head[1] ?? "", json, context, true);
  return call === undefined ? no : { state: "calls", calls: [call], end: at + body.length };
}

function nameIn(json: string): string | undefined {
  const value = readExact(json);
  return typeof value === "string" ? value : undefined;
}
