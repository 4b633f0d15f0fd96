/**
 * What is known of a request's prompt from its session's last one: where and why it left the cached beginning, in a few words for the usage
 * row, the log and people; or how much of it the engine has computed before.
 */
import type { EncodedPrompt } from "../engine/encode-chat.ts";
import type { Place } from "../routing/prefix-guard/divergence.ts";
import type { Computed, GuardKey, Line, PrefixGuard } from "../routing/prefix-guard/prefix-guard.ts";

export type PrefixBreak = { cause: string; text: string };

export type KnownPrefix = {
  broken?: PrefixBreak;
  /** What the engine computed of the prompt that this one begins with, where that is known. */
  computed?: Computed | undefined;
  /** Where to note what the engine has computed of this one. */
  line?: Line;
};

/** Compares a prompt with its session's last; a request without a session is compared with nothing. */
export function watchPrefix(
  guard: PrefixGuard,
  key: Omit<GuardKey, "session"> & { session: string | undefined },
  prompt: EncodedPrompt,
): KnownPrefix {
  const { session } = key;
  if (session === undefined) return {};
  const verdict = guard.observe({ ...key, session }, prompt);
  const { line } = verdict;
  if (verdict.kind === "extends") return { line, computed: verdict.before.computed };
  if (verdict.kind === "first") return { line };
  return { line, broken: { cause: verdict.cause, text: `${placeOf(verdict.at)}: ${verdict.cause}` } };
}

function placeOf(at: Place): string {
  switch (at.section) {
    case "head":
    case "system":
      return at.section;
    case "tools":
      return `tool ${at.index}`;
    case "message":
      return `message ${at.index} (${at.role})`;
  }
}
