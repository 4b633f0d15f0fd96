/**
 * Token usage: one normal form for every wire and engine, and the fold that builds it.
 *
 * Usage is a fold, not a field: an engine reports it many times in a stream, sometimes only in part, and a later report
 * must never lower an earlier one (a peer billed $0.000024 for $9.26 that way). Each figure is the largest seen.
 */

/** Disjoint token classes, except that `reasoning` is a part of `output`. Prompt = inputUncached + cacheRead + cacheWrite. */
export type Usage = {
  readonly inputUncached: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
};

/** Who counted: the engine, or the gateway where an engine reported nothing. */
export type CountedBy = "engine" | "gateway";

/** What an engine reports, in OpenAI's form: `prompt` includes cached tokens. Absent figures are unknown, not zero. */
export type UsageReport = {
  prompt?: number | undefined;
  cached?: number | undefined;
  cacheWritten?: number | undefined;
  completion?: number | undefined;
  reasoning?: number | undefined;
};

export class UsageFold {
  #prompt = 0;
  #cached = 0;
  #cacheWritten = 0;
  #completion = 0;
  #reasoning = 0;
  #reported = false;
  #cachedReported = false;
  #ownPrompt = 0;
  #ownCompletion = 0;

  /** Takes one report of the engine: every figure is the maximum of what has been reported so far. */
  report(report: UsageReport): void {
    this.#reported = true;
    if (report.prompt !== undefined && report.prompt > this.#prompt) this.#prompt = report.prompt;
    if (report.cached !== undefined) {
      this.#cachedReported = true;
      if (report.cached > this.#cached) this.#cached = report.cached;
    }
    if (report.cacheWritten !== undefined && report.cacheWritten > this.#cacheWritten)
      this.#cacheWritten = report.cacheWritten;
    if (report.completion !== undefined && report.completion > this.#completion) this.#completion = report.completion;
    if (report.reasoning !== undefined && report.reasoning > this.#reasoning) this.#reasoning = report.reasoning;
  }

  /** Takes the gateway's own count, used only for what the engine never reports; a better one replaces an earlier one. */
  estimate(report: { prompt: number; completion: number }): void {
    if (report.prompt > 0) this.#ownPrompt = report.prompt;
    if (report.completion > 0) this.#ownCompletion = report.completion;
  }

  /** Forgets everything: the answer is asked for anew, and what was counted belongs to an attempt that nobody saw. */
  restart(): void {
    this.#prompt = this.#cached = this.#cacheWritten = this.#completion = this.#reasoning = 0;
    this.#ownPrompt = this.#ownCompletion = 0;
    this.#reported = this.#cachedReported = false;
  }

  get countedBy(): CountedBy {
    return this.#reported && (this.#prompt > 0 || this.#ownPrompt === 0) ? "engine" : "gateway";
  }

  /** Whether the engine has said how long the prompt is. */
  get promptReported(): boolean {
    return this.#prompt > 0;
  }

  /** Whether the engine has said how much of the prompt it had cached. */
  get cachedReported(): boolean {
    return this.#cachedReported;
  }

  /** All prompt tokens, cached ones included. */
  get prompt(): number {
    return this.#prompt || this.#ownPrompt;
  }

  get output(): number {
    return this.#completion || this.#ownCompletion;
  }

  get usage(): Usage {
    const { prompt, output } = this;
    const cacheRead = Math.min(this.#cached, prompt);
    const cacheWrite = Math.min(this.#cacheWritten, prompt - cacheRead);
    return {
      inputUncached: prompt - cacheRead - cacheWrite,
      cacheRead,
      cacheWrite,
      output,
      reasoning: Math.min(this.#reasoning, output),
    };
  }
}
