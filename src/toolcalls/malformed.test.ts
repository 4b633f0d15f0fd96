/** Every case that was collected from the wild: recovered exactly, or left exactly as it came. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromByteText, toByteText } from "../conversation/byte-text.ts";
import type { JsonObject } from "../conversation/request.ts";
import { CallRecovery, CallVocabulary, type RecoveredPiece } from "./call-recovery.ts";
import { repairCall } from "./repair-call.ts";

type Row = {
  id: string;
  raw: string;
  level: "text" | "args";
  action: "recover" | "reject" | "no_call";
  name?: string;
  tools: { name: string; parameters: JsonObject }[];
  expected: { name: string; arguments: unknown }[];
};

const rows = readFileSync(new URL("__fixtures__/malformed.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

/** Rows that cannot be met without breaking a rule. */
const KNOWN = new Map([["q27-mode2", "its last string was never closed: what is cut inside a value is not made"]]);

const LEFTOVER =
  /tool_call|<function|<\/function|<\/?parameter|<\/?invoke|arg_key|arg_value|TOOL_CALL|DSML|minimax|<\||\uff5c|```/;

const vocabularyOf = ({ tools }: Row) =>
  new CallVocabulary(tools.map(({ name, parameters }) => ({ name, schema: parameters })));

describe("in text", () => {
  test.each(rows.filter(({ level }) => level === "text"))("$action $id", (row) => {
    const vocabulary = vocabularyOf(row);
    const recovery = new CallRecovery(vocabulary);
    const pieces = [...recovery.push("text", toByteText(row.raw)), ...recovery.end(false)];
    const text = textOf(pieces);
    if (row.action === "recover" && !KNOWN.has(row.id)) {
      expect(callsOf(pieces)).toEqual(row.expected);
      expect(text).not.toMatch(LEFTOVER);
    } else {
      expect(callsOf(pieces)).toEqual([]);
      expect(text).toBe(row.raw);
    }
    expect(recovery.memory).toBe(0);
  });
});

describe("in a call's arguments", () => {
  test.each(rows.filter(({ level }) => level === "args"))("$action $id", (row) => {
    const calls = repairCall(row.name!, row.raw, vocabularyOf(row));
    const made = calls?.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) as unknown }));
    expect(made).toEqual(row.action === "recover" ? row.expected : undefined);
  });
});

function callsOf(pieces: readonly RecoveredPiece[]): { name: string; arguments: unknown }[] {
  return pieces.flatMap((piece) =>
    piece.type === "call"
      ? [{ name: piece.name, arguments: JSON.parse(fromByteText(piece.arguments)) as unknown }]
      : [],
  );
}

function textOf(pieces: readonly RecoveredPiece[]): string {
  return fromByteText(toBytes(pieces.map((piece) => (piece.type === "call" ? "" : piece.text)).join("")));
}

function toBytes(text: string): ReturnType<typeof toByteText> {
  return text as ReturnType<typeof toByteText>;
}
