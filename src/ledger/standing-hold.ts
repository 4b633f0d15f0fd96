/** A standing hold: what of it is lent to requests, and when it must not be used any more, and when nobody needs it. */
import type { SpendCap } from "../conversation/spend-cap.ts";
import type { AdmittedTerms } from "./known-terms.ts";
import type { Price, ReserveItem, ReserveResult } from "./statements.ts";

/** What a request has of a standing hold. */
export type Share = {
  readonly terms: AdmittedTerms;
  readonly cap: SpendCap | undefined;
  /** The request costs so much. False: that is more than there is, and it needs a hold of its own first. */
  covers(nano: bigint): boolean;
  /** The request has a hold of its own now, or costs nothing. */
  leave(): void;
  /** The request ends, and costs so much; call the result when the database has charged it. */
  spend(nano: bigint): () => void;
};

/** How long it lets requests in: prices, terms and limits that others change hold from then on. */
export const LIFE_MS = 2_000;

/** What was reserved for one: at a price, and within limits. */
export type StandingTerms = ReserveResult & { price: Price; unspent: bigint };

export class StandingHold {
  readonly item: ReserveItem;
  /** nano-USD. */
  readonly amount: bigint;
  readonly terms: StandingTerms;
  readonly askedAt: number;
  /** What requests may still take. */
  left: bigint;
  renewedAt: number;
  retired = false;
  released: Promise<void> | undefined;
  readonly #onIdle: (hold: StandingHold) => void;
  /** The database's clock, less `performance.now()`. */
  readonly #clockOffset: number;
  /** When it must not be used any more: its price, or the day that its budgets go by, is over, or they are to be asked for anew. */
  readonly #until: number;
  readonly #heardAt = Date.now();
  #least: bigint;
  #charged = 0n;
  #shares = 0;
  /** Requests that ended, and that the database has not charged yet. */
  #owed = 0;
  #renewals = 0;

  constructor(item: ReserveItem, terms: StandingTerms, askedAt: number, onIdle: (hold: StandingHold) => void) {
    this.item = item;
    this.amount = this.left = this.#least = terms.amount;
    this.terms = terms;
    this.askedAt = this.renewedAt = askedAt;
    this.#onIdle = onIdle;
    this.#clockOffset = terms.reservedAt.getTime() - performance.now();
    this.#until = Math.min(
      askedAt + LIFE_MS + this.#clockOffset,
      new Date(terms.reservedAt).setUTCHours(24, 0, 0, 0),
      terms.price.until?.getTime() ?? Infinity,
    );
  }

  /** The database's, in milliseconds since 1970. */
  time(): number {
    return performance.now() + this.#clockOffset;
  }

  /** A machine that slept has not counted the time. */
  isOver(now: number): boolean {
    return now >= this.#until || Date.now() - this.#heardAt > LIFE_MS;
  }

  /** The most that was taken of it. */
  get most(): bigint {
    return this.amount - this.#least;
  }

  get inUse(): boolean {
    return this.#shares > 0;
  }

  get unused(): boolean {
    return this.#shares === 0 && this.#owed === 0;
  }

  renewal(): number {
    this.renewedAt = performance.now();
    return ++this.#renewals;
  }

  /** Undefined: there is not so much left. */
  share(amount: bigint, now: number): Share | undefined {
    if (this.left < amount) {
      this.#least = 0n;
      return undefined;
    }
    this.left -= amount;
    if (this.left < this.#least) this.#least = this.left;
    this.#shares++;
    const { price, accountId, unspent, cap } = this.terms;
    return {
      terms: { accountId, price, amount, unspent, reservedAt: new Date(now) },
      cap: cap === undefined ? undefined : { ...cap, spent: cap.spent + this.#charged },
      covers: (nano) => nano - amount <= this.left,
      leave: () => {
        this.left += amount;
        this.#shares--;
        this.#idle();
      },
      spend: (nano) => {
        this.left += amount - nano;
        this.#charged += nano;
        this.#shares--;
        this.#owed++;
        return () => {
          this.#owed--;
          this.#idle();
        };
      },
    };
  }

  #idle(): void {
    if (this.retired && this.unused) this.#onIdle(this);
  }
}
