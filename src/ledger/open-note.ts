/**
 * A request that is let in before the database has a hold for it, as its gateway remembers it: in the journal where that is what survives,
 * and among those whose cost is not known yet.
 */
import type { InFlight, Placed } from "../base/in-flight.ts";
import { isoTime } from "../base/iso-time.ts";
import type { JournalEntry, Journal } from "./journal/journal.ts";
import type { OpenRecord } from "./journal/records.ts";
import type { AdmittedTerms } from "./known-terms.ts";
import type { ReserveItem } from "./statements.ts";

/** What may cost something and has no hold, until the database has its end. */
export type Unknown = Placed & { tenantId: string; reservedAt: Date };

export class OpenNote {
  readonly #journal: Journal;
  readonly #unknown: InFlight<Unknown>;
  readonly #item: ReserveItem;
  readonly #terms: AdmittedTerms;
  #entry: JournalEntry | undefined;
  #here: Unknown | undefined;

  constructor(journal: Journal, unknown: InFlight<Unknown>, item: ReserveItem, terms: AdmittedTerms) {
    this.#journal = journal;
    this.#unknown = unknown;
    this.#item = item;
    this.#terms = terms;
  }

  /** `soon`: false lets the record wait for others. Resolves when it is on disk. */
  write({ soon }: { soon: boolean }): Promise<void> {
    this.#entry ??= this.#journal.append(() => JSON.stringify(openRecord(this.#item, this.#terms)), { soon });
    return this.#entry.durable;
  }

  /** The database has no hold for it, and it may cost something. */
  unheld(): void {
    const { tenant_id: tenantId } = this.#item;
    this.#here ??= { place: -1, tenantId, reservedAt: this.#terms.reservedAt };
    this.#unknown.add(this.#here);
  }

  /** The database knows what is to be known of it. */
  done(): void {
    this.#entry?.done();
    if (this.#here !== undefined) this.#unknown.delete(this.#here);
  }
}

function openRecord(item: ReserveItem, { accountId, price, reservedAt }: AdmittedTerms): OpenRecord {
  const { input: _input, output: _output, ...known } = item;
  return {
    t: "open",
    ...known,
    account_id: accountId,
    price_id: price?.id ?? null,
    reserved_at: isoTime(reservedAt.getTime()),
  };
}
