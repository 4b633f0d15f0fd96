/** What reading a call from text can come to. Nothing else than `more` may change when more text comes. */
import { type ByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";
import type { CallVocabulary, DeclaredTool } from "./declared-tool.ts";
import { matchName } from "./match-name.ts";
import { repairArguments } from "./repair-arguments.ts";

/**
 * What was done to make the call, the furthest step only: `dialect` it was whole in a dialect that the engine did not
 * read; `bare` it stood without any markers; `arguments` its arguments were mended; `name` its name was not the declared.
 */
export type RepairKind = "dialect" | "bare" | "arguments" | "name";

export type FoundCall = { name: string; arguments: ByteText; repair: RepairKind };

export type Reading =
  /** Undecided; nothing changes before this character comes (any, if it is empty). */
  | { state: "more"; until: string }
  /** No call. `end` is where reading may go on, if it is known to lie further than the next character. */
  | { state: "no"; end?: number }
  | { state: "calls"; calls: FoundCall[]; end: number };

export type Context = {
  vocabulary: CallVocabulary;
  /** No more text will come. */
  final: boolean;
  /** The text ended for length. */
  cut: boolean;
  /** A marker stands before: it was meant as a call. */
  marked: boolean;
};

export const NO: Reading = { state: "no" };

/** Undecided, or at the end of all text cut: then nothing in it is anything else either. */
export function unfinished(text: string, context: Context, until = ""): Reading {
  return context.final ? { state: "no", end: text.length } : { state: "more", until };
}

/** A call by its written name and argument text, both as bytes; undefined if it is none that may be made. */
export function makeCall(name: string, json: string, context: Context, mended: boolean): FoundCall | undefined {
  const match = matchName(fromByteText(name as ByteText), context.vocabulary.tools);
  if (match === undefined) return undefined;
  return callOf(match.tool, json, context, match.exact ? mended : "name");
}

/** `step` is what had to be done so far: `true` for mended arguments. */
export function callOf(
  tool: DeclaredTool,
  json: string,
  context: Context,
  step: boolean | "name",
): FoundCall | undefined {
  const repaired = repairArguments(fromByteText(json as ByteText), tool);
  if (repaired === undefined) return undefined;
  const usual: RepairKind = context.marked ? "dialect" : "bare";
  const repair = step === "name" ? "name" : step || repaired.repaired ? "arguments" : usual;
  return { name: tool.name, arguments: toByteText(repaired.arguments), repair };
}
