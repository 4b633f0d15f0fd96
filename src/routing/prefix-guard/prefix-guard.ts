/**
 * Watches whether each prompt of a session begins with the one before it, and says where and why one does not.
 *
 * A session that diverges is prefilled again: the difference between an answer at once and after half a minute. The engine
 * only reports a lower number of cached tokens; this names the place. It remembers checksums, never text.
 */
import { type Divergence, divergence } from "./divergence.ts";
import { commonMessages, type Fingerprint, fingerprint, type GuardedPrompt } from "./fingerprint.ts";

/** Whose prompts are compared with each other. */
export type GuardKey = { tenant: string; session: string; agent: string | undefined; model: string };

export type Verdict = { /** The prompt as it is remembered. */ line: Line } & (
  | /** Nothing to compare with: a session's first request, or a side call that has nothing in common with the others. */
    { kind: "first" }
  | /** `before`: the prompt that it begins with. */ { kind: "extends"; before: Line }
  | ({ kind: "diverged" } & Divergence)
);

/** A remembered prompt. Once its answer has ended, whoever had it answered may note here what that engine now holds. */
export type Line = { computed?: Computed };

/** `tokens`: length of the prompt, as the engine counted it. */
export type Computed = { readonly engine: string; readonly tokens: number };

export type PrefixGuard = {
  /** Compares a prompt that is about to be sent with those of the same key, and remembers it. */
  observe(key: GuardKey, prompt: GuardedPrompt): Verdict;
  /** Checksums held now. */
  readonly held: number;
};

/** Conversations remembered for one key: side calls of a session (titles, searches) are lines of their own, and agents without a name. */
const LINES = 8;

/**
 * `maxHeld` bounds the checksums held over all sessions (4 bytes each), `maxLines` the conversations (some hundred bytes each); the sessions
 * longest silent are forgotten first.
 */
export function createPrefixGuard({ maxHeld = 4_000_000, maxLines = 100_000 } = {}): PrefixGuard {
  /** By key, the longest silent first; of each key its lines, the least recently used first. */
  const watched = new Map<string, (Fingerprint & Line)[]>();
  let held = 0;
  let known = 0;

  const forgetOldest = (): void => {
    for (const [id, lines] of watched) {
      if ((held <= maxHeld && known <= maxLines) || watched.size === 1) return;
      watched.delete(id);
      known -= lines.length;
      for (const line of lines) held -= weight(line);
    }
  };

  return {
    observe(key, prompt) {
      const id = `${key.tenant}\0${key.session}\0${key.agent ?? ""}\0${key.model}`;
      const lines = watched.get(id) ?? [];
      watched.delete(id);
      watched.set(id, lines);
      const now: Fingerprint & Line = fingerprint(prompt);
      const before = nearestLine(lines, now);
      const found = before && divergence(before, now, prompt);
      const replaces = before !== undefined && (found === undefined || !mayGoOn(found, before, now));
      const gone = replaces ? before : lines.length === LINES ? lines[0] : undefined;
      if (gone) {
        lines.splice(lines.indexOf(gone), 1);
        known--;
        held -= weight(gone);
      }
      lines.push(now);
      known++;
      held += weight(now);
      forgetOldest();
      if (!before) return { kind: "first", line: now };
      if (!found) return { kind: "extends", line: now, before };
      return { kind: "diverged", line: now, ...found };
    },

    get held() {
      return held;
    },
  };
}

/** What a prompt diverged from may go on beside it: two agents of one session need not have names. */
function mayGoOn({ cause }: Divergence, before: Fingerprint, now: Fingerprint): boolean {
  return cause === "history-replaced" || commonMessages(before, now) === 0;
}

const weight = (line: Fingerprint) => line.messages.length + line.tools.length;

/** The remembered conversation that a prompt continues or was made from; none where it has nothing in common with any. */
function nearestLine<Known extends Fingerprint>(lines: readonly Known[], now: Fingerprint): Known | undefined {
  let nearest: Known | undefined;
  let most = -1;
  for (const line of lines) {
    const common = commonMessages(line, now);
    // The same system text makes it a relation, the same first message too; no system text on either side says nothing.
    if (common === 0 && (line.system === undefined || line.system !== now.system)) continue;
    // Of two equally near, the later used.
    if (common >= most) [nearest, most] = [line, common];
  }
  return nearest;
}
