/** Reads what may be a call at one place of a text: the marks before it, then the call in whichever form it begins. */
import { readHeaded } from "./headed-call.ts";
import { readJson } from "./json-call.ts";
import { readPython, readPythonList } from "./python-call.ts";
import { type Context, NO, type Reading } from "./reading.ts";
import { readTagged } from "./tagged-call.ts";
import { markAt, markBegins, skipSpace, turnBegins } from "./tokens.ts";
import { readArrows, readTranscript } from "./transcript-call.ts";

/** More marks one after another open nothing. */
const MOST_MARKS = 12;
const FENCE = /```[^\n`]{0,40}\n/y;
const FENCE_END = /\s*```[ \t]*(?=\n|$)/y;
/** Words that begin a call at the start of a line. */
const LINE_WORDS = [
  "commentary to=",
  "assistantcommentary to=",
  "to=functions.",
  "functions.",
  "functools[",
  "Action:",
];

/** Mistral's form without its first token. */
const NAMED_ARGS = /^[\w.-]+\[ARGS\]/;
/** A name and its arguments behind it or on the next line. */
const NAMED_JSON = /^[\w.-]+\n?\{/;

export type Place = Context & {
  /** The place is the beginning of a line: calls without any mark may stand here. */
  lineStart: boolean;
};

export type PlacedReading = Reading & {
  /** A mark stood before the call, or is its own beginning. */
  marked?: boolean;
  /** It stands in a code block. */
  fenced?: boolean;
  /** Braces that were opened before it and may be closed behind. */
  dangling?: number;
};

export function readCall(text: string, at: number, place: Place): PlacedReading {
  if (text.startsWith("```", at) && place.lineStart) return readFence(text, at, place);
  if (place.lineStart && !place.final && "```".startsWith(text.slice(at))) return { state: "more", until: "" };
  let to = at;
  let marked = place.marked;
  let dangling = 0;
  for (let marks = 0; marks < MOST_MARKS; marks++) {
    if (!place.final && turnBegins(text, to)) return { state: "more", until: "" };
    const mark = markAt(text, to);
    if (mark === undefined) break;
    if (mark.dangling > 0 && !place.lineStart && !marked) break;
    marked ||= mark.opens;
    dangling += mark.dangling;
    to = skipSpace(text, mark.end);
  }
  const more: Reading = { state: "more", until: "" };
  if (to >= text.length) return place.final ? NO : more;
  if (!place.final && marked && /^`{1,2}$|^```\w*$/.test(text.slice(to, to + 40)) && text.length - to < 40) return more;
  FENCE.lastIndex = to;
  if (marked && FENCE.test(text)) {
    to = skipSpace(text, FENCE.lastIndex);
    if (to >= text.length) return place.final ? NO : more;
  }
  const reading = body(text, to, { ...place, marked }, to > at, dangling > 0);
  const begun = !place.final && markBegins(text, to) && markAt(text, to) === undefined;
  if (begun && reading.state === "no" && reading.end === undefined) return more;
  return withMarks(reading, marked, dangling, to);
}

function withMarks(reading: Reading, marked: boolean, dangling: number, to: number): PlacedReading {
  if (reading.state === "no") return { state: "no", end: Math.max(reading.end ?? 0, to) };
  return { ...reading, marked, dangling };
}

function body(text: string, at: number, place: Place, afterMark: boolean, nameless: boolean): Reading {
  const { vocabulary, marked } = place;
  const bare = marked || place.lineStart || nameless;
  switch (text[at]) {
    case "<":
      if (marked && text.startsWith("<name>", at)) return readHeaded(text, at, place);
      if (marked && !place.final && "<name>".startsWith(text.slice(at))) return { state: "more", until: "" };
      return readTagged(text, at, place);
    case "{": {
      if (!bare) return NO;
      const head = text.slice(at, at + 240);
      if (/^\{\s*\w*\s*=?>?\s*$/.test(head) && !place.final && head.length < 240) return { state: "more", until: "" };
      return readArrows(text, at, place) ?? readJson(text, at, place, nameless);
    }
    case "[": {
      if (!bare) return NO;
      const next = text[skipSpace(text, at + 1)];
      if (next === undefined) return place.final ? NO : { state: "more", until: "" };
      if (next === "{") return readJson(text, at, place, nameless);
      const listed = readPythonList(text, at, place);
      if (listed.state !== "no" || listed.end !== undefined) return listed;
      return readTranscript(text, at, place);
    }
    default: {
      const named = (begun: string): boolean => vocabulary.begins(/^[\w.-]*/.exec(begun)?.[0] ?? "");
      const rest = text.slice(at, at + 32);
      if (marked && rest.startsWith("print(")) return readPython(text, at, place);
      if (marked && !place.final && at + rest.length >= text.length && "print(".startsWith(rest))
        return { state: "more", until: "" };
      if (marked || LINE_WORDS.some((word) => rest.startsWith(word))) {
        return readHeaded(text, at, { ...place, marked: true });
      }
      if (!place.lineStart) return NO;
      if (NAMED_ARGS.test(text.slice(at, at + 100))) return readHeaded(text, at, { ...place, marked: true });
      if (NAMED_JSON.test(text.slice(at, at + 100))) return readHeaded(text, at, place);
      if (!place.final && at + rest.length >= text.length && LINE_WORDS.some((word) => word.startsWith(rest)))
        return { state: "more", until: "" };
      if (
        !place.final &&
        text.length - at < 100 &&
        /^[\w.-]+(?:\n|\[?A?R?G?S?)$/.test(text.slice(at)) &&
        named(text.slice(at))
      )
        return { state: "more", until: "" };
      return afterMark || vocabulary.initials.includes(rest.charAt(0)) ? readPython(text, at, place) : NO;
    }
  }
}

/** A fenced block that holds calls and nothing else. */
function readFence(text: string, at: number, place: Place): PlacedReading {
  const more: Reading = { state: "more", until: "" };
  FENCE.lastIndex = at;
  if (!FENCE.test(text)) {
    return !place.final && text.length - at < 44 && /^```[^\n`]*$/.test(text.slice(at)) ? more : NO;
  }
  const info = text.slice(at + 3, FENCE.lastIndex).trim();
  let to = skipSpace(text, FENCE.lastIndex);
  const calls = [];
  for (;;) {
    if (to >= text.length) return place.final ? NO : more;
    // Code that looks like a call is code, unless the block says that it is a call.
    if (/^[A-Za-z[]$/.test(text[to] ?? "") && !/tool|call|^$|json/.test(info)) return NO;
    if (text[to] === "`") return NO;
    const reading = readCall(text, to, { ...place, lineStart: true, marked: info.startsWith("tool") });
    if (reading.state !== "calls") return reading.state === "more" ? reading : NO;
    calls.push(...reading.calls);
    to = reading.end;
    let braces = reading.dangling ?? 0;
    for (;;) {
      to = skipSpace(text, to);
      if (braces > 0 && (text[to] === "}" || text[to] === "]")) {
        braces--;
        to++;
        continue;
      }
      const mark = markAt(text, to);
      if (mark === undefined || mark.opens || mark.dangling > 0) break;
      to = mark.end;
    }
    if (to >= text.length) return place.final ? NO : more;
    FENCE_END.lastIndex = to;
    if (FENCE_END.test(text)) {
      if (!place.final && FENCE_END.lastIndex >= text.length) return more;
      return { state: "calls", calls, end: FENCE_END.lastIndex, fenced: true };
    }
    if (!place.final && /^[`<]/.test(text.slice(to)) && text.length - to < 40) return more;
    if (text[to] === "`") return NO;
  }
}
