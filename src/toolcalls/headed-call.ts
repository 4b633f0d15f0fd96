/**
 * Reads calls that name their tool in words before the arguments: GLM's, Kimi's, DeepSeek's, Mistral's, Gemma's, harmony's.
 * Words and tokens are taken up to what the arguments begin with; the last word that is not the dialect's own is the name.
 */
import { asByteText, fromByteText } from "../conversation/byte-text.ts";
import { type NameMatch, matchName } from "./match-name.ts";
import { LenientJson } from "./lenient-json.ts";
import { shapeOf } from "./declared-tool.ts";
import { readPython } from "./python-call.ts";
import { type Context, NO, type Reading, callOf, unfinished } from "./reading.ts";
import { jsonOf, readTagged } from "./tagged-call.ts";
import { markBegins, skipSpace } from "./tokens.ts";

const WORD = /[\w.:/=-]+/y;
const TOKEN =
  /<\|[\w ]{1,40}\|>|<\xef\xbd\x9c[^<>\n]{1,60}\xef\xbd\x9c>|\[ARGS\]|\[CALL_ID\][\w-]*|```\w*\n|<(?:function|name|arguments|parameters|input)>|<\/name>/y;
const OWN =
  /^(?:functions?|commentary|analysis|final|json|assistant|assistantcommentary|call|code|tool|tools|action|input|action:|input:|name:|name|arguments:|parameters:|args:|with)$/i;
const CALL_END = /<\/(?:\w{1,20}:)?(?:tool_call|function_call|tool_use|longcat_tool_call)>/y;
/** Longer names with all that stands around them are none. */
const LONGEST = 400;

export function readHeaded(text: string, at: number, context: Context): Reading {
  let name = "";
  let words = 0;
  let to = at;
  for (;;) {
    to = skipSpace(text, to);
    if (to - at > LONGEST) return NO;
    const char = text[to];
    if (char === undefined) {
      return context.final ? NO : { state: "more", until: "" };
    }
    if (char === "{") return name === "" ? NO : withJson(text, to, name, context);
    if (char === "(") return name === "" ? NO : readPython(text, text.lastIndexOf(name, to), context);
    if (/^<\/?arg_(?:key|value)>/.test(text.slice(to, to + 13))) return withKeys(text, at, to, context);
    if (exec(CALL_END, text, to) !== undefined) return name === "" || words > 1 ? NO : withoutAny(to, name, context);
    const token = exec(TOKEN, text, to);
    if (token !== undefined) {
      to += token[0].length;
      continue;
    }
    if (char === "<" && name === "") {
      const tagged = readTagged(text, to, context);
      if (tagged.state === "calls" || (tagged.state === "more" && text.length > to + 1)) return tagged;
    }
    const word = exec(WORD, text, to)?.[0];
    if (word === undefined) {
      const open = !context.final && text.length - to < 80;
      return open &&
        (/^<[/\w]*$/.test(text.slice(to)) || markBegins(text, to) || /^[[<`][\w[\]`|\x80-\xff]*$/.test(text.slice(to)))
        ? { state: "more", until: "" }
        : NO;
    }
    to += word.length;
    if (to >= text.length && !context.final) return { state: "more", until: "" };
    if (OWN.test(word) && context.vocabulary.named(word) === undefined) continue;
    const bare = word.replace(/^(?:to=|call:)/, "");
    words++;
    // A tool's name and, at most, a key that was glued to it.
    if (words > 2 || (words === 1 && named(bare, context) === undefined)) return NO;
    if (words === 1) name = bare;
  }
}

function withJson(text: string, at: number, name: string, context: Context): Reading {
  const match = named(name, context);
  if (match === undefined) return NO;
  const reader = new LenientJson(text, at, context.final);
  const json = reader.value();
  if (json === undefined) {
    if (reader.short && !context.final) return { state: "more", until: "}" };
    return rescued(text, at, match, context);
  }
  const call = callOf(match.tool, json, context, match.exact || /^functions?[.]/.test(name) ? false : "name");
  return call === undefined ? { state: "no", end: reader.at } : { state: "calls", calls: [call], end: reader.at };
}

/** Argument text that could not be read as it stands, up to what closes the call. */
function rescued(text: string, at: number, match: NameMatch, context: Context): Reading {
  const slice = text.slice(at);
  const closing = /<\/[\w:]+>|<\|[\w ]+\|>|<tool_call\|>|<\xef\xbd\x9c|\n```/.exec(slice);
  if (closing === null && !context.final) return { state: "more", until: "" };
  const body = slice.slice(0, closing?.index ?? slice.length).trimEnd();
  const call = body.endsWith("}") && !context.cut ? callOf(match.tool, body, context, true) : undefined;
  const end = at + Math.max(1, body.length);
  return call === undefined ? { state: "no", end } : { state: "calls", calls: [call], end };
}

function withoutAny(at: number, name: string, context: Context): Reading {
  const match = named(name, context);
  const call = match === undefined ? undefined : callOf(match.tool, "{}", context, match.exact ? false : "name");
  return call === undefined ? NO : { state: "calls", calls: [call], end: at };
}

/** GLM's pairs; each opening tag may be missing, and the first key may be glued to the name. */
function withKeys(text: string, at: number, first: number, context: Context): Reading {
  const head = fromByteText(asByteText(text.slice(at, first).trim()));
  let key: string | undefined;
  let match = matchName(head, context.vocabulary.tools);
  if (text.startsWith("</arg_key>", first)) {
    // The name ends where its tool's key begins.
    const glued = context.vocabulary.tools.filter(
      (tool) => head.startsWith(tool.name) && shapeOf(tool).properties.has(head.slice(tool.name.length).trim()),
    );
    const tool = glued.toSorted((one, other) => other.name.length - one.name.length)[0];
    if (tool === undefined) return NO;
    match = { tool, exact: false };
    key = head.slice(tool.name.length).trim();
  }
  if (match === undefined) return NO;
  const found: { key: string; text: string; json: boolean }[] = [];
  let to = first;
  for (;;) {
    to = skipSpace(text, to);
    if (key === undefined) {
      if (text.startsWith("<arg_key>", to)) {
        const end = text.indexOf("<", to + 9);
        if (end < 0) return unfinished(text, context, "<");
        key = text.slice(to + 9, end).trim();
        to = end;
      } else {
        if (to >= text.length && !context.final) return { state: "more", until: "" };
        if (!context.final && text[to] === "<" && "<arg_key>".startsWith(text.slice(to)))
          return { state: "more", until: "" };
        break;
      }
    }
    if (!context.final && text.length - to < 24 && /^<[\w/]*(?:>\s*(?:<[\w/]*)?)?$/.test(text.slice(to)))
      return { state: "more", until: "" };
    if (text.startsWith("</arg_key>", to)) to += 10;
    const opening = /\s*<arg_value>/y;
    const opened = exec(opening, text, to);
    if (opened !== undefined) to += opened[0].length;
    const end = glmValueEnd(text, to, context.final);
    if (end === undefined) return unfinished(text, context, "<");
    found.push({ key, text: text.slice(to, end.end), json: false });
    key = undefined;
    to = end.next;
  }
  if (found.length === 0) return NO;
  const call = callOf(match.tool, jsonOf(found), context, match.exact ? false : "name");
  if (call === undefined) return { state: "no", end: to };
  return { state: "calls", calls: [call.repair === "arguments" ? { ...call, repair: "dialect" } : call], end: to };
}

/** At the first closing tag behind which the call goes on or ends; the next pair or the call's end, if there is none. */
function glmValueEnd(text: string, from: number, final: boolean): { end: number; next: number } | undefined {
  const edge = /<\/arg_value>|<arg_key>|<\/tool_call>/g;
  edge.lastIndex = from;
  for (let found = edge.exec(text); found !== null; found = edge.exec(text)) {
    if (found[0] !== "</arg_value>") return { end: found.index, next: found.index };
    const behind = found.index + found[0].length;
    const next = skipSpace(text, behind);
    if (next >= text.length) return final ? { end: found.index, next: behind } : undefined;
    if (text[next] === "<") return { end: found.index, next: behind };
  }
  return undefined;
}

function named(name: string, context: Context): NameMatch | undefined {
  const proper = fromByteText(asByteText(name));
  const match = matchName(proper, context.vocabulary.tools);
  if (match !== undefined) return match;
  const glued = context.vocabulary.tools.find(
    (tool) =>
      tool.name !== "" && proper.startsWith(tool.name) && shapeOf(tool).properties.has(proper.slice(tool.name.length)),
  );
  return glued === undefined ? undefined : { tool: glued, exact: false };
}

function exec(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
