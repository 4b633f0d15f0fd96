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

/** What was seen of one key. `recent` holds the last divergences, newest last, `time` in milliseconds since 1970. */
export type GuardReport = GuardKey & {
  requests: number;
  diverged: number;
  recent: readonly { time: number; divergence: Divergence }[];
};

export type PrefixGuard = {
  /** Compares a prompt that is about to be sent with those of the same key, and remembers it. */
  observe(key: GuardKey, prompt: GuardedPrompt, time?: number): Verdict;
  /** What was seen of a session, one report for each agent and model. */
  session(tenant: string, session: string): GuardReport[];
  /** Checksums held now. */
  readonly held: number;
};

/** Conversations remembered for one key: side calls of a session (titles, searches) are lines of their own. */
const LINES = 4;
const RECENT = 8;

type Watched = {
  key: GuardKey;
  /** Least recently used first. */
  lines: (Fingerprint & Line)[];
  requests: number;
  diverged: number;
  recent: { time: number; divergence: Divergence }[];
};

/** `maxHeld` bounds the checksums held over all sessions (4 bytes each); the sessions longest silent are forgotten first. */
export function createPrefixGuard({ maxHeld = 4_000_000, maxKeys = 50_000 } = {}): PrefixGuard {
  const watched = new Map<string, Watched>();
  let held = 0;

  const forgetOldest = (): void => {
    for (const [id, { lines }] of watched) {
      if ((held <= maxHeld && watched.size <= maxKeys) || watched.size === 1) return;
      watched.delete(id);
      for (const line of lines) held -= weight(line);
    }
  };

  return {
    observe(key, prompt, time = Date.now()) {
      const id = `${key.tenant}\0${key.session}\0${key.agent ?? ""}\0${key.model}`;
      const entry = watched.get(id) ?? { key, lines: [], requests: 0, diverged: 0, recent: [] };
      watched.delete(id);
      watched.set(id, entry);
      const now: Fingerprint & Line = fingerprint(prompt);
      const before = nearestLine(entry.lines, now);
      const found = before && divergence(before, now, prompt);
      entry.requests++;
      // What was replaced may go on beside it: two agents of one session need not have names.
      const replaces = before !== undefined && found?.cause !== "history-replaced";
      const gone = replaces ? before : entry.lines.length === LINES ? entry.lines[0] : undefined;
      if (gone) {
        entry.lines.splice(entry.lines.indexOf(gone), 1);
        held -= weight(gone);
      }
      entry.lines.push(now);
      held += weight(now);
      forgetOldest();
      if (!before) return { kind: "first", line: now };
      if (!found) return { kind: "extends", line: now, before };
      entry.diverged++;
      entry.recent.push({ time, divergence: found });
      if (entry.recent.length > RECENT) entry.recent.shift();
      return { kind: "diverged", line: now, ...found };
    },

    session(tenant, session) {
      const reports: GuardReport[] = [];
      for (const { key, requests, diverged, recent } of watched.values()) {
        if (key.tenant === tenant && key.session === session)
          reports.push({ ...key, requests, diverged, recent: [...recent] });
      }
      return reports;
    },

    get held() {
      return held;
    },
  };
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
