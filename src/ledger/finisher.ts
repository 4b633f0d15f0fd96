/**
 * Brings a request's end to where it is durable: the embedded database and its journal together, or Postgres; the journal alone when
 * Postgres does not answer in time.
 */
import { isStoreAway } from "../db/store-error.ts";
import type { Journal } from "./journal/journal.ts";
import type { SettleRecord } from "./journal/records.ts";
import type { Presence } from "./presence.ts";
import { storeAway } from "./refusals.ts";
import type { SettleItem } from "./settle-item.ts";
import type { SettleWriter } from "./settle-writer.ts";

export type FinisherParts = {
  settles: SettleWriter;
  journal: Journal;
  /** Whether every end goes into the journal: the database does not sync. */
  journalAll: boolean;
  presence: Presence;
  patienceMs: number;
  onProblem: (what: string, error?: unknown) => void;
};

/** `onApplied` is called when the database has it, which may be later than it is durable. */
export type Finish = (item: SettleItem, onApplied?: () => void) => Promise<void>;

export function createFinisher(parts: FinisherParts): Finish {
  const { settles, journal, journalAll, presence, patienceMs, onProblem } = parts;

  /** Rejects when it is in neither. */
  const inJournal = async (item: SettleItem, applied: Promise<void>, soon = true): Promise<void> => {
    const record: SettleRecord = { t: "settle", item };
    const entry = journal.append(() => JSON.stringify(record), { soon });
    applied.then(
      () => entry.done(),
      (error: unknown) => {
        // What the database refuses for good would be refused again at every start.
        if (!isStoreAway(error)) entry.done();
      },
    );
    try {
      await entry.durable;
    } catch (error) {
      onProblem("a settled request could not be written to the journal", error);
      throw storeAway(error);
    }
  };

  /** Waits no longer than until somebody finds the database away: the client is waiting, and nothing is durable yet. */
  const inStore = (applied: Promise<void>): Promise<void> => presence.answered(applied, patienceMs);

  return async (item, onApplied) => {
    const applied = settles.add(item);
    applied.then(onApplied, () => {});
    if (journalAll && item.unheld) {
      // Costs nothing, so it need not wait for the disk: only a power cut takes it from the database, and the journal has it a moment later.
      const durable = inJournal(item, applied, false);
      durable.catch(() => {});
      try {
        await inStore(applied);
      } catch (error) {
        if (!isStoreAway(error)) throw error;
        await durable;
      }
      return;
    }
    if (journalAll) {
      const [durable, stored] = await Promise.allSettled([inJournal(item, applied), inStore(applied)]);
      if (stored.status === "rejected" && !isStoreAway(stored.reason)) throw stored.reason;
      // Either will do: in the embedded database alone it is safe from everything but a power cut.
      if (durable.status === "rejected" && stored.status === "rejected") throw durable.reason;
      return;
    }
    try {
      await inStore(applied);
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      presence.fail();
      await inJournal(item, applied);
    }
  };
}
