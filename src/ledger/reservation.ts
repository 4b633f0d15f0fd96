/** A request that was let in, until its end: what it holds, and what is noted of it where the database has no hold for it yet. */
import type { InFlight } from "../base/in-flight.ts";
import type { Usage } from "../conversation/usage.ts";
import { type Admitted, estimatedItem, reserveItem } from "./admit.ts";
import type { Checkpointer } from "./checkpointer.ts";
import type { Journal } from "./journal/journal.ts";
import type { KnownTerms } from "./known-terms.ts";
import type { Reservation, ReserveRequest } from "./ledger-types.ts";
import { LiveRequest } from "./live-request.ts";
import { OpenNote, type Unknown } from "./open-note.ts";
import { storeAway } from "./refusals.ts";
import { type ReservedTerms, type SettleItem, releaseItem, settleItem } from "./settle-item.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";
import type { UsageRow } from "./usage-row.ts";
import type { UsualOutput } from "./usual-output.ts";

export type ReservationParts = {
  journal: Journal;
  /** Whether the journal is what makes a step durable. */
  journalAll: boolean;
  checkpointer: Checkpointer;
  known: KnownTerms;
  unknown: InFlight<Unknown>;
  usual: UsualOutput;
  /** Undefined: the database is away. */
  askStore: (item: ReserveItem) => Promise<ReserveResult | undefined>;
  /** As the finisher. */
  end: (item: SettleItem, onApplied?: () => void) => Promise<void>;
  /** Nothing was sent to an engine, and a hold may or may not be there. */
  release: (requestId: string, accountId: number | null) => void;
  patienceMs: number;
  onProblem: (what: string, error?: unknown) => void;
};

const UNWRITTEN = "a reservation could not be written to the journal";

/** Rejects with GatewayError `store_unavailable` when what must be durable before the engine is asked cannot be. */
export async function openReservation(
  request: ReserveRequest,
  admitted: Admitted,
  parts: ReservationParts,
): Promise<Reservation> {
  const { heldBy, item, terms, cap } = admitted;
  const note = new OpenNote(parts.journal, parts.unknown, item, terms);
  const held = new HeldRequest(request, admitted, note, parts);
  const cannotOpen = (error: unknown): void => parts.onProblem(UNWRITTEN, error);

  const mayCost = terms.price !== null;
  if (mayCost && (heldBy === "known" || heldBy === "none")) note.unheld();
  if (mayCost && heldBy === "known") {
    try {
      await note.write({ soon: true });
    } catch (error) {
      cannotOpen(error);
      note.done();
      parts.release(item.request_id, terms.accountId);
      throw storeAway(error);
    }
  } else if (heldBy === "known" || (parts.journalAll && heldBy !== "store")) {
    // A death within the first tenth of a second takes it from the journal, and a moment of its tokens with it.
    note.write({ soon: false }).catch(cannotOpen);
  }
  held.begin();

  let ended: Promise<void> | undefined;
  return {
    cap,
    progress: () => held.live.progress(),
    settle: (row) => (ended ??= held.settle(row)),
    void: (row) => (ended ??= held.void(row)),
  };
}

class HeldRequest {
  readonly live: LiveRequest;
  readonly #request: ReserveRequest;
  readonly #admitted: Admitted;
  readonly #note: OpenNote;
  readonly #parts: ReservationParts;
  readonly #reserved: ReservedTerms;
  /** What is taken of what is known of a tenant is given back in the same outage. */
  readonly #outage: number;

  constructor(request: ReserveRequest, admitted: Admitted, note: OpenNote, parts: ReservationParts) {
    const { heldBy, item, terms } = admitted;
    const { accountId, price, reservedAt } = terms;
    this.#request = request;
    this.#admitted = admitted;
    this.#note = note;
    this.#parts = parts;
    this.#reserved = { accountId, priceId: price?.id ?? null, reservedAt };
    this.#outage = parts.known.outage;
    // Of what costs nothing, and of what has no limits and is in the journal, the database need not hear before it ends.
    const needsHold = heldBy === "standing" || (heldBy === "none" && price !== null && !parts.journalAll);
    this.live = new LiveRequest({
      heldBy,
      item,
      terms,
      counts: request.counts,
      maxOutput: request.maxOutput,
      graceMs: parts.patienceMs,
      extend: (asking) => parts.checkpointer.check(asking),
      ...(needsHold && { own: (ownItem) => this.#own(ownItem) }),
      onExhausted: () => request.onExhausted(),
    });
  }

  begin(): void {
    this.#parts.checkpointer.add(this.live);
  }

  async #own(item = this.#estimated()): Promise<ReserveResult | undefined> {
    const { askStore, onProblem } = this.#parts;
    let result: ReserveResult | undefined;
    try {
      result = await askStore(item);
    } catch (error) {
      onProblem("a request could not be given a hold of its own", error);
    }
    if (result === undefined) {
      // Its gateway may die before the database is back.
      this.#note.write({ soon: true }).catch((error: unknown) => onProblem(UNWRITTEN, error));
    } else if (result.refused === null) {
      this.#admitted.share?.leave();
      this.#note.done();
    }
    return result;
  }

  /** What was let in for nothing was not estimated. */
  #estimated(): ReserveItem {
    const { heldBy, item } = this.#admitted;
    return heldBy === "none" ? estimatedItem(this.#request, this.#parts.usual) : item;
  }

  settle(row: UsageRow): Promise<void> {
    if (this.#reserved.priceId !== null) this.#parts.usual.learn(row.tenantId, row.model, row.usage.output);
    if (this.live.owning === undefined && this.#covers(row.usage)) return this.#settle(row);
    return this.#cover(row.usage).then(() => this.#settle(row));
  }

  void(row?: UsageRow): Promise<void> {
    const { owning } = this.live;
    return owning === undefined ? this.#void(row) : owning.then(() => this.#void(row));
  }

  #covers(usage: Usage): boolean {
    const { live } = this;
    return live.heldBy !== "standing" || this.#admitted.share?.covers(live.costOf(usage)) !== false;
  }

  /** What a share of a standing hold does not cover needs a hold of its own, which is charged no more than the limits have room for. */
  async #cover(usage: Usage): Promise<void> {
    await this.live.owning;
    if (this.#covers(usage)) return;
    // It does not grow any more.
    this.#parts.checkpointer.remove(this.live);
    await this.live.own(reserveItem(this.#request, 0, 0));
  }

  #settle(row: UsageRow): Promise<void> {
    const { live } = this;
    const cutBy = live.exhausted ? live.refusedBy : null;
    const capped = live.heldBy === "store" && live.exceededBy(row.usage);
    const how = { billed: true, cutBy, capped, unheld: this.#unheld };
    return this.#end(settleItem(row, this.#reserved, how), row.usage);
  }

  #void(row: UsageRow | undefined): Promise<void> {
    if (row === undefined) return this.#end(releaseItem(this.live.item.request_id, this.#reserved.accountId));
    return this.#end(settleItem(row, this.#reserved, { billed: false, cutBy: null, unheld: this.#unheld }));
  }

  get #unheld(): boolean {
    return this.#admitted.heldBy === "none" && this.#reserved.priceId === null;
  }

  #end(item: SettleItem, charged: Usage = NOTHING): Promise<void> {
    const { live } = this;
    const { checkpointer, known, end } = this.#parts;
    const { tenantId, keyId } = this.#request;
    const { heldBy, share } = this.#admitted;
    const noted = item.billed && live.heldBy === "store" ? checkpointer.end(live) : undefined;
    if (noted === undefined) checkpointer.remove(live);
    if (heldBy === "known") known.giveBack(tenantId, keyId, live.unused(charged), this.#outage);
    const spent = live.heldBy === "store" ? undefined : share?.spend(live.costOf(charged));
    return end(item, () => {
      noted?.();
      this.#note.done();
      spent?.();
    });
  }
}

const NOTHING: Usage = { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
