/** Forms that models write and slip into, made by hand: what becomes of each, whole, in single bytes, and cut anywhere. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { asByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";
import type { JsonObject } from "../conversation/request.ts";
import { CallRecovery, CallVocabulary, type DeclaredTool } from "./call-recovery.ts";

type Form = { form: string; raw: string; cut?: boolean; calls: [name: string, args: unknown][]; text: string };

const forms = readFileSync(new URL("__fixtures__/forms.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Form);

const TEXT = { type: "string" };
const INTEGER = { type: "integer" };
const vocabulary = new CallVocabulary([
  tool("Bash", { command: TEXT, description: TEXT, timeout: INTEGER }, ["command"]),
  tool("Read", { file_path: TEXT, offset: INTEGER, limit: INTEGER }, ["file_path"]),
  tool("Write", { file_path: TEXT, content: TEXT }, ["file_path", "content"]),
  tool("Edit", { file_path: TEXT, old_string: TEXT, new_string: TEXT }, ["file_path", "old_string", "new_string"]),
  tool("get_weather", { city: TEXT, days: INTEGER }, ["city"]),
  tool("TodoWrite", { todos: { type: "array", items: { type: "object" } } }, ["todos"]),
  tool("list_files", {}, []),
]);

function tool(name: string, properties: JsonObject, required: string[]): DeclaredTool {
  return { name, schema: { type: "object", properties, required } };
}

function recover(pieces: readonly string[], cut: boolean): { calls: [string, unknown][]; text: string } {
  const recovery = new CallRecovery(vocabulary);
  const calls: [string, unknown][] = [];
  let text = "";
  for (const piece of [...pieces.flatMap((each) => recovery.push("text", asByteText(each))), ...recovery.end(cut)]) {
    if (piece.type === "call") calls.push([piece.name, JSON.parse(fromByteText(piece.arguments))]);
    else text += piece.text;
  }
  return { calls, text };
}

test.each(forms)("$form", ({ form, raw, cut = false, calls, text }) => {
  const bytes = toByteText(raw);
  for (const pieces of [[bytes], bytes.split("")]) {
    expect(recover(pieces, cut)).toEqual({ calls, text: toByteText(text) });
  }
  for (let end = bytes.length - 1; end > 0; end--) {
    const begun = bytes.slice(0, end);
    const whole = recover([begun], true);
    expect(recover(begun.split(""), true)).toEqual(whole);
    if (whole.calls.length === 0) expect(whole.text).toBe(begun);
    // A cut call is never made with less than it was written with, but for members that had not begun.
    for (const [i, [name, args]] of whole.calls.entries()) {
      expect(calls[i]?.[0]).toBe(name);
      // Where quotes were not escaped, the first of them ends the text as far as anybody can tell.
      if (form !== "hermes unescaped") expect(calls[i]?.[1]).toMatchObject(args as object);
    }
  }
});
