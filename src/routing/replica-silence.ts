/**
 * Replicas that take requests and never begin to answer, though they look well: a hung GPU behind a live HTTP server. A look does not see
 * it, only requests do. Such a replica is asked last for a while; then its sessions try it again.
 */

/** Requests in a row before which a time limit passed without a byte, and until when it is asked last (`performance.now()`; 0: it is not). */
export type Silence = { count: number; until: number };

/** One may be the prompt's fault. */
const MOST_IN_A_ROW = 2;
const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 300_000;

export function newSilence(): Silence {
  return { count: 0, until: 0 };
}

/** A time limit passed before the replica had sent anything. */
export function keptSilent(silence: Silence, now: number): void {
  // What was sent before the rest began says nothing new.
  if (silence.until > now) return;
  silence.count++;
  const more = silence.count - MOST_IN_A_ROW;
  if (more >= 0) silence.until = now + Math.min(FIRST_REST_MS * 2 ** more, LONGEST_REST_MS);
}

/** The replica has sent something. */
export function spoke(silence: Silence): void {
  silence.count = 0;
  silence.until = 0;
}

export function isResting({ until }: Silence): boolean {
  return until !== 0 && until > performance.now();
}
