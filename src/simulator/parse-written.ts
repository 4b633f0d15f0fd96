/** What the engine's own parsers make of a model's raw text: reasoning between `<think>` tags, hermes tool calls. */
import { isObject } from "./chat-body.ts";
import type { ScriptedCall, Turn } from "./script.ts";

const CALL = /<tool_call>([\s\S]*?)<\/tool_call>\s*/g;

export function parseWritten(
  written: string,
  parsers: { parsesCalls: boolean; parsesReasoning: boolean },
): Pick<Turn, "text" | "reasoning" | "calls"> {
  let rest = written;
  let reasoning: string | undefined;
  if (parsers.parsesReasoning) {
    const end = rest.indexOf("</think>");
    // A model that never closes its thinking has written nothing but reasoning.
    reasoning = (end < 0 ? rest : rest.slice(0, end)).replace(/^<think>\n?/, "").replace(/\n$/, "");
    rest = end < 0 ? "" : rest.slice(end + "</think>".length).replace(/^\n+/, "");
  }
  const calls: ScriptedCall[] = [];
  if (parsers.parsesCalls) {
    for (const [, text] of rest.matchAll(CALL)) {
      const call = readCall(text ?? "");
      // One call that is not JSON and the parser leaves everything as text.
      if (!call) return { text: rest, ...(reasoning && { reasoning }) };
      calls.push(call);
    }
    if (calls.length > 0) rest = rest.slice(0, rest.indexOf("<tool_call>"));
  }
  return { text: rest, ...(reasoning && { reasoning }), ...(calls.length > 0 && { calls }) };
}

function readCall(text: string): ScriptedCall | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isObject(parsed) || typeof parsed["name"] !== "string") return undefined;
    return { name: parsed["name"], arguments: isObject(parsed["arguments"]) ? parsed["arguments"] : {} };
  } catch {
    return undefined;
  }
}
