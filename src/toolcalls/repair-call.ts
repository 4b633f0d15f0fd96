/** Mends a call that an engine did read, but with a name or arguments that its client would refuse. */
import { toByteText } from "../conversation/byte-text.ts";
import type { CallVocabulary } from "./declared-tool.ts";
import { matchName } from "./match-name.ts";
import { readCall } from "./read-call.ts";
import { repairArguments } from "./repair-arguments.ts";
import { splitObjects } from "./split-objects.ts";

export type RepairedCall = { name: string; arguments: string; repaired: boolean };

/** The calls that were meant, several when their arguments were glued; undefined when one of them cannot be made. */
export function repairCall(name: string, text: string, vocabulary: CallVocabulary): RepairedCall[] | undefined {
  const swallowed = argumentsInName(name, text, vocabulary);
  if (swallowed !== undefined) return [swallowed];
  const match = matchName(name, vocabulary.tools);
  if (match === undefined) return undefined;
  const calls: RepairedCall[] = [];
  const objects = splitObjects(text);
  for (const object of objects) {
    const found = repairArguments(object, match.tool);
    if (found === undefined) return undefined;
    const repaired = found.repaired || !match.exact || object !== text;
    calls.push({ name: match.tool.name, arguments: found.arguments, repaired });
  }
  return calls;
}

/** A parser that took all of a call for its name. */
function argumentsInName(name: string, text: string, vocabulary: CallVocabulary): RepairedCall | undefined {
  if (!name.includes("<arg_") || !/^\s*(?:\{\s*\}\s*)?$/.test(text)) return undefined;
  const written = `<tool_call>${toByteText(name)}</tool_call>`;
  const reading = readCall(written, 0, { vocabulary, final: true, cut: false, marked: true, lineStart: true });
  const call = reading.state === "calls" && reading.calls.length === 1 ? reading.calls[0] : undefined;
  if (call === undefined) return undefined;
  return { name: call.name, arguments: Buffer.from(call.arguments, "latin1").toString("utf8"), repaired: true };
}
