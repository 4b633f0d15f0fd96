/**
 * The running counts of an answer as money sees them: while the engine has not said how much of the prompt it had cached, what it most
 * likely read from there.
 *
 * vLLM says so only in an answer's last chunk. One that is cut off (the client leaves, a limit or a stop sequence is reached) never gets
 * there, and its whole prompt would cost the price of a prompt that nobody had computed: for Esc in a long session ten times too much. The
 * prompt begins with the session's last one, which the same engine has computed, so that much is taken to be read from the cache.
 */
import type { Usage, UsageFold } from "../conversation/usage.ts";
import type { RunningCounts } from "../ledger/live-request.ts";
import type { Computed } from "../routing/prefix-guard/prefix-guard.ts";

/** Engines cache in blocks of 16 to this many tokens, and report whole ones. */
const LARGEST_BLOCK = 128;

export class LikelyUsage implements RunningCounts {
  /** The session's last prompt, of an engine that tells what it had cached; undefined where this prompt does not begin with it. */
  computed: Computed | undefined;
  readonly #fold: UsageFold;

  constructor(fold: UsageFold) {
    this.#fold = fold;
  }

  get prompt(): number {
    return this.#fold.prompt;
  }

  get output(): number {
    return this.#fold.output;
  }

  /** Whether a part of `usage` is likely rather than reported. */
  get guessed(): boolean {
    return this.computed !== undefined && !this.#fold.cachedReported && this.#fold.prompt > 0;
  }

  get usage(): Usage {
    const { usage, prompt } = this.#fold;
    if (!this.guessed) return usage;
    const known = Math.min(this.computed!.tokens, prompt - usage.cacheWrite);
    const cacheRead = known - (known % LARGEST_BLOCK);
    return { ...usage, cacheRead, inputUncached: prompt - usage.cacheWrite - cacheRead };
  }
}
