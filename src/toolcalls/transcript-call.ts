/** Reads calls in forms that models imitate from transcripts and shells: `[Calling tool: f …]`, `{tool => "f", args => {…}}`. */
import { asByteText, fromByteText } from "../conversation/byte-text.ts";
import { LenientJson } from "./lenient-json.ts";
import { matchName } from "./match-name.ts";
import { type Context, NO, type Reading, callOf, unfinished } from "./reading.ts";
import { readArguments, jsonOf } from "./tagged-call.ts";
import { skipSpace } from "./tokens.ts";

const CALLING =
  /\[(?:(?:calling|called|using|used|invoking|call|use|running) )?(?:tool|function)(?:[ _]call(?:ed)?| use)?:? ?[`"]?([A-Za-z_][\w.:/-]{0,199})[`"]?(?=[^\w.:/-])/iy;
const BETWEEN = /(?:\s*(?:with|using|and|arguments?|args|parameters?|params|input|=>|[:,(]))*\s*/iy;
const ARROWS =
  /\{\s*(?:tool|name|function)\s*=>\s*["']([^"'\n]{1,200})["']\s*,\s*(?:args|arguments|parameters|params)\s*=>\s*\{/y;
const FLAG = /--([\w-]{1,100})(?:\s*=\s*|\s+|:\s*)/y;

export function readTranscript(text: string, at: number, around: Context): Reading {
  const context = { ...around, marked: true };
  CALLING.lastIndex = at;
  const opening = CALLING.exec(text);
  if (opening === null) {
    const rest = text.slice(at, at + 256);
    const undecided = !context.final && at + rest.length >= text.length;
    return undecided &&
      /^\[(?:[a-z]{0,8}[ _]?){0,4}:? ?[`"]?[\w.:/-]*[`"]?$/i.test(rest) &&
      /^\[(?:$|c|u|i|r|t|f)/i.test(rest)
      ? { state: "more", until: "" }
      : NO;
  }
  const name = fromByteText(asByteText((opening[1] ?? "").replace(/:$/, "")));
  const match = matchName(name, context.vocabulary.tools);
  if (match === undefined) return NO;
  let to = at + opening[0].length;
  if (text[to] === "]") {
    to = skipSpace(text, to + 1);
    if (to >= text.length) return unfinished(text, context);
    if (text[to] !== "<" && text[to] !== "{") return NO;
    return readArguments(text, to, { tool: match.tool, exact: match.exact }, context);
  }
  BETWEEN.lastIndex = to;
  to += BETWEEN.exec(text)?.[0].length ?? 0;
  if (to >= text.length) return unfinished(text, context);
  if (text[to] !== "{") {
    const undecided = !context.final && text.length - to < 12 && /^[a-z=]*$/i.test(text.slice(to));
    return undecided ? { state: "more", until: "" } : NO;
  }
  const reader = new LenientJson(text, to, context.final);
  const json = reader.value();
  if (json === undefined) return reader.short ? unfinished(text, context) : NO;
  const behind = /\s*\)?\s*\]/y;
  behind.lastIndex = reader.at;
  const closed = behind.test(text);
  if (!closed && !context.final && /^\s*\)?\s*$/.test(text.slice(reader.at))) return { state: "more", until: "" };
  const call = callOf(match.tool, json, context, match.exact ? reader.mended : "name");
  const end = closed ? behind.lastIndex : reader.at;
  return call === undefined ? { state: "no", end } : { state: "calls", calls: [call], end };
}

/** Undefined when the object here does not begin so. */
export function readArrows(text: string, at: number, context: Context): Reading | undefined {
  ARROWS.lastIndex = at;
  const opening = ARROWS.exec(text);
  if (opening === null) return undefined;
  const match = matchName(fromByteText(asByteText(opening[1] ?? "")), context.vocabulary.tools);
  if (match === undefined) return NO;
  const found: { key: string; text: string; json: boolean }[] = [];
  let to = at + opening[0].length;
  for (;;) {
    to = skipSpace(text, to);
    if (text[to] === ",") {
      to++;
      continue;
    }
    if (text[to] === "}") break;
    FLAG.lastIndex = to;
    const flag = FLAG.exec(text);
    // Not the shell's form: it may still be JSON of a kind.
    if (flag === null && found.length === 0 && !/^-?$/.test(text.slice(to))) return undefined;
    if (flag === null)
      return text.length - to < 110 && /^-?-?[\w-]*\s*[=:]?\s*$/.test(text.slice(to)) ? unfinished(text, context) : NO;
    const reader = new LenientJson(text, to + flag[0].length, context.final);
    const json = reader.value();
    if (json === undefined) return reader.short ? unfinished(text, context) : NO;
    found.push({ key: flag[1] ?? "", text: json, json: true });
    to = reader.at;
  }
  to = skipSpace(text, to + 1);
  if (to >= text.length && !context.final) return { state: "more", until: "" };
  const call = callOf(match.tool, jsonOf(found), context, true);
  const end = text[to] === "}" ? to + 1 : to;
  return call === undefined ? { state: "no", end } : { state: "calls", calls: [call], end };
}
