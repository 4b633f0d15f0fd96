/** Says in a few words where a session's prompt left its cached beginning, and why: for the usage row, the log and people. */
import type { EncodedPrompt } from "../engine/encode-chat.ts";
import type { Place } from "../routing/prefix-guard/divergence.ts";
import type { GuardKey, PrefixGuard } from "../routing/prefix-guard/prefix-guard.ts";

export type PrefixBreak = { cause: string; text: string };

/** Compares a prompt with its session's last; a request without a session is compared with nothing. */
export function watchPrefix(
  guard: PrefixGuard,
  key: Omit<GuardKey, "session"> & { session: string | undefined },
  prompt: EncodedPrompt,
): PrefixBreak | undefined {
  const { session } = key;
  if (session === undefined) return undefined;
  const verdict = guard.observe({ ...key, session }, prompt);
  return verdict.kind === "diverged"
    ? { cause: verdict.cause, text: `${placeOf(verdict.at)}: ${verdict.cause}` }
    : undefined;
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
