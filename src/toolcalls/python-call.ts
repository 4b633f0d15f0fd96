/** Reads calls that are written as Python: `f(a="x")`, or a list of such calls. */
import { asByteText, fromByteText } from "../conversation/byte-text.ts";
import { shapeOf } from "./declared-tool.ts";
import { LenientJson, type Member, written } from "./lenient-json.ts";
import { matchName } from "./match-name.ts";
import { type Context, type FoundCall, NO, type Reading, callOf } from "./reading.ts";
import { skipSpace } from "./tokens.ts";

const CALLEE = /([A-Za-z_][\w.-]{0,200})\(/y;
const KEYWORD = /([A-Za-z_]\w{0,200})\s*=(?!=)/y;
const MOST = 64;

/** `[f(…), g(…)]`. */
export function readPythonList(text: string, at: number, context: Context): Reading {
  const calls: FoundCall[] = [];
  let to = skipSpace(text, at + 1);
  while (calls.length < MOST) {
    const reading = readPython(text, to, context);
    if (reading.state !== "calls") return reading;
    calls.push(...reading.calls);
    to = skipSpace(text, reading.end);
    if (text[to] === "]") return { state: "calls", calls, end: to + 1 };
    if (to >= text.length) return context.final ? NO : { state: "more", until: "" };
    if (text[to] !== ",") return NO;
    to = skipSpace(text, to + 1);
  }
  return NO;
}

/** `f(…)`. */
export function readPython(text: string, at: number, context: Context): Reading {
  CALLEE.lastIndex = at;
  const callee = CALLEE.exec(text);
  if (callee === null) {
    const rest = text.slice(at, at + 256);
    if (context.final || !/^[\w.-]*$/.test(rest) || at + rest.length < text.length) return NO;
    return context.marked || context.vocabulary.begins(rest) ? { state: "more", until: "" } : NO;
  }
  const name = fromByteText(asByteText(callee[1] ?? ""));
  if (name === "print" && context.marked && context.vocabulary.named(name) === undefined) {
    return readPrinted(text, at + callee[0].length, context);
  }
  const match = matchName(name, context.vocabulary.tools);
  if (match === undefined || (!match.exact && !context.marked && !name.includes("."))) return NO;
  const members: Member[] = [];
  let to = skipSpace(text, at + callee[0].length);
  for (;;) {
    if (text[to] === ")") break;
    if (to >= text.length) return context.final ? { state: "no", end: to } : { state: "more", until: "" };
    KEYWORD.lastIndex = to;
    const keyword = KEYWORD.exec(text);
    const [only] = shapeOf(match.tool).required;
    // One value without its name, where only one is asked for.
    const key = keyword?.[1] ?? (members.length === 0 && shapeOf(match.tool).required.length === 1 ? only : undefined);
    const undecided = text.length - to < 256 && /^\w*\s*=?$/.test(text.slice(to, to + 256));
    if (undecided && !context.final) return { state: "more", until: "" };
    if (key === undefined) return NO;
    const reader = new LenientJson(text, to + (keyword?.[0].length ?? 0), context.final);
    const json = reader.value();
    if (json === undefined) {
      if (!reader.short) return NO;
      return context.final ? { state: "no", end: text.length } : { state: "more", until: "" };
    }
    members.push({ key: fromByteText(asByteText(key)), json });
    to = skipSpace(text, reader.at);
    if (text[to] === ",") to = skipSpace(text, to + 1);
    else if (to < text.length && text[to] !== ")") return NO;
  }
  const call = callOf(match.tool, written(members), context, match.exact ? false : "name");
  return call === undefined ? { state: "no", end: to + 1 } : { state: "calls", calls: [call], end: to + 1 };
}

/** `print(f(…))`: a call whose result the model meant to see. */
function readPrinted(text: string, at: number, context: Context): Reading {
  const reading = text.startsWith("print", at) ? NO : readPython(text, at, context);
  if (reading.state !== "calls") return reading;
  const end = skipSpace(text, reading.end);
  if (end >= text.length && !context.final) return { state: "more", until: "" };
  return text[end] === ")" ? { ...reading, end: end + 1 } : NO;
}
