/**
 * A request in flight, as money sees it: how much is held, how far that reaches, and when to ask for more. `progress` runs for every
 * read of every stream, and is a comparison of two numbers until the hold runs low.
 */
import type { Placed } from "../base/in-flight.ts";
import type { Usage } from "../conversation/usage.ts";
import { costOf, dearestInput } from "./money.ts";
import { whole } from "./settle-item.ts";
import type { CheckpointItem, CheckpointResult, ReserveItem, ReserveResult } from "./statements.ts";

/** The running counts of a stream; `UsageFold` is one. */
export type RunningCounts = {
  /** All prompt tokens; 0 while unknown. */
  readonly prompt: number;
  readonly output: number;
  readonly usage: Usage;
};

/** Tokens that one read may bring beyond the last look: an answer that cannot be paid further is stopped so much earlier. */
const MARGIN = 32;
const LEAST_AHEAD = 128;
const MOST_AHEAD = 4_096;
/** Asks for more when less than this is left, or less than a quarter. */
const MOST_LEFT = 1_024;

/**
 * `store`: the database has a hold for the request. `standing`: it has a share of a standing hold. `known`: it was let in while the database was
 * away, within what was known. `none`: nothing can refuse it, and nothing is held. Of the latter three the database hears when they are settled,
 * unless they get a hold of their own before.
 */
export type HeldBy = "store" | "standing" | "known" | "none";

export type LiveOptions = {
  heldBy: HeldBy;
  item: ReserveItem;
  terms: Pick<ReserveResult, "accountId" | "price" | "amount" | "unspent" | "reservedAt">;
  counts: RunningCounts;
  maxOutput: number;
  /** How long an answer may run on past its hold while the database has not said whether there is more. */
  graceMs: number;
  /** Asks for a larger hold, through a checkpoint. */
  extend: (live: LiveRequest) => void;
  /** Asks for a hold of its own: for a request that was let in without one, or for this. Undefined: there is no asking now. Never rejects. */
  own?: (item?: ReserveItem) => Promise<ReserveResult | undefined>;
  /** Called once, when the answer must end because nothing more can be paid. */
  onExhausted: () => void;
};

export class LiveRequest implements Placed {
  place = -1;
  heldBy: HeldBy;
  readonly item: ReserveItem;
  readonly terms: LiveOptions["terms"];
  readonly counts: RunningCounts;
  readonly #options: LiveOptions;
  /** nano-USD held. */
  amount: bigint;
  /** Whether a checkpoint is on its way. */
  busy = false;
  /** Which limit will end the answer when the hold is used up, or has ended it. */
  refusedBy: string | null = null;
  exhausted = false;
  /** `performance.now()` of the last checkpoint that was noted. */
  checkedAt = performance.now();
  readonly begunAt = this.checkedAt;
  /** A hold of its own is on its way. */
  owning: Promise<void> | undefined;
  #checkpoint = 0;
  #begunAt = 0;
  #checkedAs = 0;
  /** Whether the last checkpoint found no hold. */
  #notFound = false;
  #countedOutput = 0;
  /** Tokens of output that the checkpoint on its way asks for beside what is counted; 0 for a regular one. */
  #ahead = 0;
  /** Most tokens to ask for: less once so much was refused. */
  #most = MOST_AHEAD;
  /** Output that the hold pays for. */
  #payable = Infinity;
  /** Output from which on `progress` must look closer. */
  #watchFrom = Infinity;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.heldBy = options.heldBy;
    this.item = options.item;
    this.terms = options.terms;
    this.counts = options.counts;
    this.amount = options.terms.amount;
    this.#measure(0);
  }

  /** Call after every read. */
  progress(): void {
    if (this.counts.output >= this.#watchFrom) this.#runsLow();
  }

  /** Whether there is more than what was counted last. */
  get grown(): boolean {
    return this.counts.output !== this.#countedOutput;
  }

  /** Whether the database should have a hold for it, and has none yet. */
  get unowned(): boolean {
    return this.#options.own !== undefined && (this.heldBy === "standing" || this.heldBy === "none");
  }

  /** Gets it a hold of its own. What became of that stands in `heldBy`: `known` says that the database could not be asked. Never rejects. */
  own(item?: ReserveItem): Promise<void> {
    return (this.owning ??= this.#own(item).finally(() => (this.owning = undefined)));
  }

  async #own(item?: ReserveItem): Promise<void> {
    const result = await this.#options.own?.(item);
    if (result === undefined) this.heldBy = "known";
    else if (result.refused === null) {
      this.heldBy = "store";
      this.amount = result.amount;
      this.refusedBy = null;
    } else
      this.refusedBy = result.refused === "account" ? "account" : `${result.cap?.scope} ${result.cap?.period} budget`;
    this.checkedAt = performance.now();
    this.#ahead = 0;
    this.#measure(0);
    if (this.place >= 0) this.progress();
  }

  /** Whether the hold itself must be looked at again: it is used up, or a limit refused it more, and others may have freed what they held. */
  get wanting(): boolean {
    return this.refusedBy !== null || this.outgrown;
  }

  /** Whether the database does not know the last count. */
  get unchecked(): boolean {
    return this.#checkpoint > this.#checkedAs || this.grown;
  }

  /** What is counted by now, numbered, as the database takes it: one engine's nonsense must not cost all the others their checkpoints. */
  count(): CheckpointItem {
    const { usage } = this.counts;
    this.#countedOutput = usage.output;
    const output = whole(usage.output);
    return {
      request_id: this.item.request_id,
      checkpoint: ++this.#checkpoint,
      input_uncached: whole(usage.inputUncached),
      cache_read: whole(usage.cacheRead),
      cache_write: whole(usage.cacheWrite),
      output,
      reasoning: Math.min(output, whole(usage.reasoning)),
      ahead: this.#ahead,
    };
  }

  /** What the next checkpoint says; it is then on its way, until `checked` or `failed`. */
  checkpoint(): CheckpointItem {
    this.busy = true;
    this.#begunAt = performance.now();
    const item = this.count();
    this.#checkedAs = item.checkpoint;
    return item;
  }

  /** What became of the checkpoint; undefined: the hold was not found. */
  checked(result: CheckpointResult | undefined): void {
    this.busy = false;
    this.checkedAt = performance.now();
    if (result !== undefined) this.amount = result.amount;
    if (this.exhausted) return;
    const again = result === undefined && !this.#notFound;
    this.#notFound = result === undefined;
    if (again) {
      // A sweep may have been at the hold, or have brought a later count into it; a new checkpoint tells that from a hold that is gone.
      this.#options.extend(this);
      return;
    }
    const refused = result === undefined ? "lost reservation" : result.refused;
    const asked = this.#ahead;
    this.#ahead = 0;
    if (result !== undefined && refused !== null && asked > LEAST_AHEAD) {
      // Perhaps less fits.
      this.#most = Math.max(LEAST_AHEAD, asked >> 2);
      this.#ask();
      return;
    }
    // A regular checkpoint may find that others have freed what they held.
    if (refused === null && asked === 0 && this.refusedBy !== null) this.#most = LEAST_AHEAD * 4;
    this.refusedBy = refused;
    this.#measure(asked);
    this.progress();
  }

  /** The database did not answer: what is held is all there is. */
  failed(why: string): void {
    this.busy = false;
    if (this.exhausted) return;
    this.refusedBy = why;
    this.#ahead = 0;
    this.#measure(0);
    this.progress();
  }

  /** nano-USD by which the hold falls short of what a checkpoint counts and wants. */
  missing({ output, ahead }: CheckpointItem): bigint {
    const { price } = this.terms;
    if (price === null) return 0n;
    return costOf(price, { ...this.counts.usage, output: output + ahead }) - this.amount;
  }

  /** Whether what is counted costs more than is held. */
  get outgrown(): boolean {
    const { price } = this.terms;
    return price !== null && costOf(price, this.counts.usage) > this.amount;
  }

  /** Whether so much may cost more than is held, in the face of limits. */
  exceededBy(usage: Usage): boolean {
    const { price, unspent } = this.terms;
    return price !== null && unspent !== null && costOf(price, usage) > this.amount;
  }

  /** nano-USD that so much costs. */
  costOf(usage: Usage): bigint {
    const { price } = this.terms;
    return price === null ? 0n : costOf(price, usage);
  }

  /** nano-USD of the hold that are left when so much is charged. */
  unused(usage: Usage): bigint {
    const left = this.amount - this.costOf(usage);
    return left > 0n ? left : 0n;
  }

  #runsLow(): void {
    const { output } = this.counts;
    if (this.busy && performance.now() - this.#begunAt > this.#options.graceMs) this.refusedBy ??= "database slow";
    if (output >= this.#payable && this.refusedBy !== null) {
      this.exhausted = true;
      this.#watchFrom = Infinity;
      this.#options.onExhausted();
      return;
    }
    if (!this.busy && this.refusedBy === null) this.#ask();
  }

  #ask(): void {
    const { output } = this.counts;
    const wanted = Math.min(this.#most, Math.max(LEAST_AHEAD * 2, output));
    this.#ahead = Math.max(1, Math.min(wanted, this.#options.maxOutput - output));
    this.#options.extend(this);
  }

  /** How far the hold reaches, of what is known of the prompt. `granted`: tokens that were just added. */
  #measure(granted: number): void {
    const { price, unspent } = this.terms;
    if (price === null || unspent === null || price.output === 0n) return;
    const { usage, prompt } = this.counts;
    const pico = this.amount * 1000n;
    const input =
      prompt === 0 ? BigInt(this.item.input) * dearestInput(price) : costOf(price, { ...usage, output: 0 }) * 1000n;
    const payable = Number((pico - input) / price.output);
    this.#payable = payable >= this.#options.maxOutput ? Infinity : Math.max(0, payable - MARGIN);
    const early = Math.max(LEAST_AHEAD / 2, Math.min(MOST_LEFT, this.#payable / 4));
    // Not so early that what was granted is at once too little.
    const left = granted > 0 ? Math.min(early, granted / 2) : early;
    this.#watchFrom = this.refusedBy === null ? this.#payable - left : this.#payable;
  }
}
