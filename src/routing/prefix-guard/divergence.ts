/** Says where a prompt left the one before it, and what that looks like. */
import { commonMessages, type Fingerprint, type GuardedPrompt, systemCount, wasContinued } from "./fingerprint.ts";

/** Where: `index` counts as in the request, a leading system message included; for tools in the list of tools. */
export type Place =
  | { section: "head" }
  | { section: "system" }
  | { section: "tools"; index: number }
  | { section: "message"; index: number; role: string };

/**
 * - `effort-changed`: the client asked for another reasoning effort, which this template writes into the head.
 * - `template-arguments-changed`: the client gave the template other arguments, such as whether to think.
 * - `system-changed`: the system text before the conversation differs.
 * - `tools-reordered`, `tools-added`, `tools-removed`, `tools-changed`: the list of tools differs.
 * - `messages-inserted`, `messages-removed`: the conversation goes on as before, after messages more or fewer.
 * - `message-edited`: one message differs, and those after it do not.
 * - `history-replaced`: from here on it is another conversation: a compaction, a rewind, or a second one of the same agent.
 */
export type Cause =
  | "effort-changed"
  | "template-arguments-changed"
  | "system-changed"
  | `tools-${"reordered" | "added" | "removed" | "changed"}`
  | `messages-${"inserted" | "removed"}`
  | "message-edited"
  | "history-replaced";

export type Divergence = { at: Place; cause: Cause };

/** Nothing where `prompt` (whose fingerprint is `now`) begins with what `before` was, or is a beginning of it. */
export function divergence(before: Fingerprint, now: Fingerprint, prompt: GuardedPrompt): Divergence | undefined {
  if (before.effort !== now.effort) return { at: { section: "head" }, cause: "effort-changed" };
  if (before.template !== now.template) return { at: { section: "head" }, cause: "template-arguments-changed" };
  if (before.system !== now.system) return { at: { section: "system" }, cause: "system-changed" };
  const tools = toolDivergence(before.tools, now.tools);
  if (tools) return tools;
  const common = commonMessages(before, now);
  // A prompt that is a beginning of the one before it is all in the cache: nothing diverged.
  if (common === before.messages.length || common === now.messages.length) return undefined;
  if (common === before.messages.length - 1 && wasContinued(before, prompt)) return undefined;
  const index = common + systemCount(prompt);
  return {
    at: { section: "message", index, role: prompt.messages[index]?.role ?? "" },
    cause: messageCause(before.messages, now.messages, common),
  };
}

function toolDivergence(before: Uint32Array, now: Uint32Array): Divergence | undefined {
  const end = Math.max(before.length, now.length);
  let index = 0;
  while (index < end && before[index] === now[index]) index++;
  if (index === end) return undefined;
  const had = new Set(before);
  const has = new Set(now);
  const added = now.some((tool) => !had.has(tool));
  const removed = before.some((tool) => !has.has(tool));
  const how = added && removed ? "changed" : added ? "added" : removed ? "removed" : "reordered";
  return { at: { section: "tools", index }, cause: `tools-${how}` };
}

/** How far to look for the place where the conversation goes on as before. */
const LOOK_AHEAD = 64;

function messageCause(before: Uint32Array, now: Uint32Array, index: number): Cause {
  if (index + 1 < before.length && before[index + 1] === now[index + 1]) return "message-edited";
  for (let step = 1; step <= LOOK_AHEAD; step++) {
    if (index + step < now.length && now[index + step] === before[index]) return "messages-inserted";
    if (index + step < before.length && before[index + step] === now[index]) return "messages-removed";
  }
  // The last message of the shorter one has none after it to tell by. Where it is the first as well, nothing is in common: another agent's.
  const isLast = index > 0 && index === before.length - 1 && now.length >= before.length;
  return isLast ? "message-edited" : "history-replaced";
}
