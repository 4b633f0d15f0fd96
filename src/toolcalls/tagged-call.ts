/** Reads calls whose arguments stand one by one in tags: Qwen's, MiniMax's, Claude's, DeepSeek's, Kimi K3's, Cline's. */
import { asByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";
import { type DeclaredTool, shapeOf } from "./declared-tool.ts";
import { readExact } from "../base/exact-json.ts";
import { LenientJson } from "./lenient-json.ts";
import { matchName } from "./match-name.ts";
import { type Context, type FoundCall, NO, type Reading, callOf, unfinished } from "./reading.ts";
import { BAR, markBegins, skipSpace } from "./tokens.ts";

const PRE = "(?:\\]<\\]minimax\\[>\\[)?";
const NS = `(?:\\w{1,20}:|${BAR}DSML${BAR})?`;
const Q = "(?:[\"']|\xe2\x80[\x98-\x9d])";
const attribute = (names: string): string =>
  `[^<>]{0,200}?\\b(?:${names})\\s*=\\s*${Q}([^<>"'\\n]{1,200}?)${Q}[^<>]{0,200}`;

const CALL_OPEN = new RegExp(
  `${PRE}<${NS}(?:(?:function|tool|tool_call|invoke)=["']?([^<>"'\\n]{1,200})["']?\\s*/?>|(?:invoke|function|tool|tool_call|tool_use|function_call)\\s${attribute("name|tool|tool_name")}>)|<\\|open\\|>call\\s${attribute("tool|name")}<\\|sep\\|>`,
  "y",
);
const CALL_CLOSE = new RegExp(
  `${PRE}</${NS}(?:invoke|function|tool|tool_use|function_call)>|<\\|close\\|>call<\\|sep\\|>`,
  "y",
);
const PARAMETER_OPEN = new RegExp(
  `${PRE}<${NS}(?:(?:parameter|param|arg|argument)=["']?([^<>"'\\n]{1,200})["']?\\s*>|(?:parameter|param|arg|argument)\\s${attribute("name|key")}>)|<\\|open\\|>argument\\s${attribute("key|name")}<\\|sep\\|>`,
  "y",
);
const PARAMETER_CLOSE = new RegExp(
  `${PRE}</${NS}(?:parameter|param|arg|argument)>|<\\|close\\|>argument<\\|sep\\|>`,
  "g",
);
/** The end of a call whose last argument was never closed. */
const UNCLOSED = new RegExp(
  `${PRE}</${NS}(?:function|invoke)>\\s*(?:${PRE}</${NS}\\w*calls?>|${PRE}<${NS}(?:function|invoke)[=\\s])`,
  "g",
);
const GROUP = new RegExp(
  `${PRE}</?${NS}(?:parameters|arguments|args|input)>|<\\|(?:open|close)\\|>arguments?<\\|sep\\|>`,
  "y",
);
const ELEMENT = new RegExp(`${PRE}<([A-Za-z_][\\w.-]{0,100})>`, "y");
const NO_STRING = /\bstring="false"|\btype="(?!string)[a-z]+"/;
const TAG_LENGTH = 700;
/** Kimi K3's tags, begun. */
const PARTIAL_TOKENS = /^<\|(?:open|close)\|>[^<>\n]{0,300}(?:<\|?s?e?p?\|?)?$/;

type Argument = { key: string; text: string; json: boolean };

/** A call that opens with a tag of calls. */
export function readTagged(text: string, at: number, around: Context): Reading {
  const open = exec(CALL_OPEN, text, at);
  if (open === undefined) {
    if (!around.final && beginsTokens(text, at)) return { state: "more", until: "" };
    return readElements(text, at, around);
  }
  const context = { ...around, marked: true };
  const name = open[1] ?? open[2] ?? open[3] ?? "";
  const tool = matchName(fromByteText(asByteText(name.trim())), context.vocabulary.tools);
  if (tool === undefined) return { state: "no", end: at + open[0].length };
  if (open[0].endsWith("/>")) return made(tool.tool, [], tool.exact, context, at + open[0].length);
  return readArguments(text, at + open[0].length, { tool: tool.tool, exact: tool.exact }, context);
}

/** The arguments of a call whose opening has been read, and its closing tag. */
export function readArguments(
  text: string,
  from: number,
  { tool, exact, closed = false }: { tool: DeclaredTool; exact: boolean; closed?: boolean },
  context: Context,
): Reading {
  const found: Argument[] = [];
  let at = from;
  for (;;) {
    at = skipSpace(text, at);
    if (at >= text.length) {
      if (!context.final) return { state: "more", until: "" };
      return found.length > 0 ? made(tool, found, exact, context, at) : { state: "no", end: at };
    }
    const close = exec(CALL_CLOSE, text, at);
    if (close !== undefined) return made(tool, found, exact, context, at + close[0].length);
    const parameter = exec(PARAMETER_OPEN, text, at);
    if (parameter !== undefined) {
      const value = valueEnd(text, at + parameter[0].length, PARAMETER_CLOSE, tool, context);
      if (value === undefined) return unfinished(text, context, "<");
      const key = (parameter[1] ?? parameter[2] ?? parameter[3] ?? "").trim();
      const raw = text.slice(at + parameter[0].length, value.end);
      const literal = parameter[0].includes(BAR) || parameter[0].startsWith("<|");
      found.push({ key, text: literal ? raw : unwrapped(raw), json: NO_STRING.test(parameter[0]) });
      at = value.next;
      continue;
    }
    const group = exec(GROUP, text, at);
    if (group !== undefined && !shapeOf(tool).properties.has(group[0].replace(/[<>/]/g, ""))) {
      at += group[0].length;
      continue;
    }
    if (found.length === 0 && text[at] === "{") {
      const reader = new LenientJson(text, at, context.final);
      const json = reader.value();
      if (json === undefined) return reader.short ? unfinished(text, context) : NO;
      const call = callOf(tool, json, context, exact ? reader.mended : "name");
      if (call === undefined) return { state: "no", end: reader.at };
      const end = skipSpace(text, reader.at);
      const behind = exec(GROUP, text, end) ?? exec(CALL_CLOSE, text, end);
      return { state: "calls", calls: [call], end: behind === undefined ? reader.at : end + behind[0].length };
    }
    const element = exec(ELEMENT, text, at);
    if (element !== undefined && shapeOf(tool).properties.has(fromByteText(asByteText(element[1] ?? "")))) {
      const key = element[1] ?? "";
      const value = valueEnd(
        text,
        at + element[0].length,
        new RegExp(`${PRE}</${escapeRegex(key)}>`, "g"),
        tool,
        context,
      );
      if (value === undefined) return unfinished(text, context, "<");
      found.push({ key, text: unwrapped(text.slice(at + element[0].length, value.end)), json: false });
      at = value.next;
      continue;
    }
    if (!context.final && text.length - at < TAG_LENGTH && /^[\]<][^>\n]*$/.test(text.slice(at, at + TAG_LENGTH)))
      return { state: "more", until: "" };
    if (!context.final && (markBegins(text, at) || beginsTokens(text, at))) return { state: "more", until: "" };
    // Something else: the call ended without its closing tag.
    return found.length > 0 && !closed ? made(tool, found, exact, context, at) : NO;
  }
}

/** `<tool><arg>v</arg></tool>`: only a declared tool whose elements are all its own. */
function readElements(text: string, at: number, context: Context): Reading {
  const { vocabulary } = context;
  const head = /<([A-Za-z_][\w.-]{0,100})(>)?/y;
  const open = exec(head, text, at);
  if (open === undefined) return !context.final && at + 1 >= text.length ? { state: "more", until: "" } : NO;
  const name = fromByteText(asByteText(open[1] ?? ""));
  if (open[2] === undefined) {
    const atEnd = at + open[0].length >= text.length;
    return atEnd && !context.final && vocabulary.begins(name) ? { state: "more", until: "" } : NO;
  }
  const tool = vocabulary.named(name);
  if (tool === undefined) return NO;
  const found: Argument[] = [];
  let to = at + open[0].length;
  const closing = `</${open[1] ?? ""}>`;
  for (;;) {
    to = skipSpace(text, to);
    if (text.startsWith(closing, to)) {
      if (found.length === 0) return NO;
      return made(tool, found, true, context, to + closing.length);
    }
    const element = exec(ELEMENT, text, to);
    if (element === undefined) {
      const rest = text.slice(to, to + 120);
      return !context.final && /^(?:<\/?[\w.-]*)?$/.test(rest) ? { state: "more", until: "" } : NO;
    }
    const key = element[1] ?? "";
    if (!shapeOf(tool).properties.has(fromByteText(asByteText(key)))) return NO;
    const value = valueEnd(text, to + element[0].length, new RegExp(`</${escapeRegex(key)}>`, "g"), tool, context);
    if (value === undefined) return unfinished(text, context, "<");
    found.push({ key, text: unwrapped(text.slice(to + element[0].length, value.end)), json: false });
    to = value.next;
  }
}

/**
 * Where a value ends: at the first closing tag behind which the call goes on or ends. Undefined while it is open. A value
 * that was never closed ends with its call.
 */
function valueEnd(
  text: string,
  from: number,
  close: RegExp,
  tool: DeclaredTool,
  context: Context,
): { end: number; next: number } | undefined {
  UNCLOSED.lastIndex = from;
  const unclosed = UNCLOSED.exec(text);
  close.lastIndex = from;
  for (let found = close.exec(text); found !== null; found = close.exec(text)) {
    if (unclosed !== null && unclosed.index < found.index) break;
    const behind = found.index + found[0].length;
    const next = skipSpace(text, behind);
    if (next >= text.length && !context.final) return undefined;
    if (next < text.length && text[next] !== "<" && !text.startsWith("]<]", next)) continue;
    // Another argument's opening inside: this closing tag is that one's.
    const inner = innerOpening(text, from, found.index, tool);
    return inner === undefined ? { end: found.index, next: behind } : { end: inner, next: inner };
  }
  if (unclosed !== null) {
    const inner = innerOpening(text, from, unclosed.index, tool);
    return { end: inner ?? unclosed.index, next: inner ?? unclosed.index };
  }
  if (!context.final) return undefined;
  // The call is closed at the end of all text, its last argument is not.
  const last = new RegExp(`${PRE}</${NS}(?:function|invoke)>\\s*$`).exec(text.slice(Math.max(from, text.length - 200)));
  return last === null
    ? undefined
    : {
        end: text.length - 200 < from ? from + last.index : text.length - 200 + last.index,
        next: text.length - last[0].length,
      };
}

/** A line inside a value that opens another of the tool's arguments. */
function innerOpening(text: string, from: number, to: number, tool: DeclaredTool): number | undefined {
  for (let at = text.indexOf("\n<", from); at >= 0 && at < to; at = text.indexOf("\n<", at + 1)) {
    const open = exec(PARAMETER_OPEN, text, at + 1);
    const key = open?.[1] ?? open?.[2];
    if (key !== undefined && shapeOf(tool).properties.has(fromByteText(asByteText(key)))) return at;
  }
  return undefined;
}

function beginsTokens(text: string, at: number): boolean {
  return text.startsWith("<|", at) && PARTIAL_TOKENS.test(text.slice(at, at + 400));
}

/** The line breaks between a value and its tags are the tags' own, where both are there. */
function unwrapped(raw: string): string {
  return /^\r?\n[\s\S]*\n$/.test(raw) && raw.length > 1 ? raw.replace(/^\r?\n/, "").replace(/\r?\n$/, "") : raw;
}

function made(tool: DeclaredTool, found: readonly Argument[], exact: boolean, context: Context, end: number): Reading {
  const call = callOf(tool, jsonOf(found), context, exact ? false : "name");
  if (call === undefined) return { state: "no", end };
  // Types in tags are only known from the schema: giving them is no repair.
  const calls: FoundCall[] = [
    call.repair === "arguments" ? { ...call, repair: context.marked ? "dialect" : "bare" } : call,
  ];
  return { state: "calls", calls, end };
}

/** Arguments as JSON: texts, but where the tag says that it is none. */
export function jsonOf(found: readonly Argument[]): string {
  const members = new Map<string, string>();
  for (const { key, text, json } of found) {
    const proper = fromByteText(asByteText(text));
    const value = json ? readExact(proper) : undefined;
    members.set(key, value === undefined ? JSON.stringify(proper) : proper.trim());
  }
  const pairs = [...members].map(([key, value]) => `${JSON.stringify(fromByteText(asByteText(key)))}:${value}`);
  return toByteText(`{${pairs.join(",")}}`);
}

function exec(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
