/**
 * Knows the requests in flight, and notes four times a second how far they are: in the database, one statement for all; in the journal where
 * that is what is durable, and while the database is away or slow.
 */
import { InFlight } from "../base/in-flight.ts";
import { isoTime } from "../base/iso-time.ts";
import { batcher } from "../db/batcher.ts";
import type { Store } from "../db/open-store.ts";
import { isStoreAway } from "../db/store-error.ts";
import type { Journal } from "./journal/journal.ts";
import type { Count, CountRecord } from "./journal/records.ts";
import type { KnownTerms } from "./known-terms.ts";
import type { LiveRequest } from "./live-request.ts";
import type { Presence } from "./presence.ts";
import { type CheckpointItem, checkpointHolds } from "./statements.ts";

export type Checkpointer = {
  add(request: LiveRequest): void;
  remove(request: LiveRequest): void;
  /** A checkpoint of this request now. */
  check(request: LiveRequest): void;
  /** Resolves when the database knows what the journal has been told so far. */
  flush(): Promise<void>;
  readonly live: number;
  close(): void;
};

export type CheckpointerParts = {
  store: Store;
  journal: Journal;
  /** Whether counts go into the journal always; the database then hears of them when a hold must grow or a lease is to be renewed. */
  journalAll: boolean;
  presence: Presence;
  known: KnownTerms;
  leaseMs: number;
  everyMs: number;
  onProblem: (what: string, error?: unknown) => void;
};

const MOST_A_STATEMENT = 512;
const AWAY = "database away";

export function createCheckpointer(parts: CheckpointerParts): Checkpointer {
  const { store, journal, journalAll, presence, known, leaseMs, everyMs, onProblem } = parts;
  const live = new InFlight<LiveRequest>();

  const toJournal = (items: readonly CheckpointItem[]): void => {
    const record: CountRecord = { t: "count", at: isoTime(Date.now()), counts: items.map(toCount) };
    const entry = journal.append(() => JSON.stringify(record));
    entry.done();
    entry.durable.catch((error: unknown) => onProblem("running counts could not be written to the journal", error));
  };

  const toStore = batcher(async (items: CheckpointItem[]) => {
    const results = await checkpointHolds(store, leaseMs, items);
    return items.map((item) => results.get(item.request_id));
  }, MOST_A_STATEMENT);

  const checkInStore = async (request: LiveRequest): Promise<void> => {
    const item = request.checkpoint();
    try {
      const result = await toStore.add(item);
      const more = result === undefined ? 0n : result.amount - request.amount;
      if (more > 0n) known.grew(request.item.tenant_id, request.item.key_id, more);
      request.checked(result);
    } catch (error) {
      if (isStoreAway(error)) presence.fail();
      else onProblem("a checkpoint failed", error);
      toJournal([item]);
      request.failed(AWAY);
    }
  };

  /** Without the database a hold grows as far as is known to be covered. */
  const checkAlone = (request: LiveRequest): CheckpointItem => {
    const item = request.checkpoint();
    const more = request.missing(item);
    if (more <= 0n) request.checked({ amount: request.amount, refused: null });
    else if (known.take(request.item.tenant_id, request.item.key_id, more, presence.away))
      request.checked({ amount: request.amount + more, refused: null });
    else request.failed(AWAY);
    return item;
  };

  const tick = (): void => {
    const now = performance.now();
    const counts: CheckpointItem[] = [];
    live.forEach((request) => {
      const { grown, heldBy } = request;
      const renew = now - request.checkedAt > leaseMs / 3;
      const alone = heldBy === "known" || (heldBy === "store" && presence.away);
      if (alone && !request.busy) {
        if (grown || renew) counts.push(checkAlone(request));
        return;
      }
      if (grown && (journalAll || request.busy || heldBy === "none")) counts.push(request.count());
      if (heldBy !== "store" || request.busy) return;
      if (renew || (journalAll ? request.outgrown : grown)) void checkInStore(request);
    });
    if (counts.length > 0) toJournal(counts);
  };
  const timer = setInterval(tick, everyMs).unref();

  return {
    add: (request) => live.add(request),
    remove: (request) => void live.delete(request),
    check(request) {
      const { heldBy } = request;
      if (request.busy || request.place < 0 || heldBy === "none") return;
      if (heldBy === "known" || presence.away) toJournal([checkAlone(request)]);
      else void checkInStore(request);
    },
    async flush() {
      const behind: Promise<void>[] = [];
      live.forEach((request) => {
        if (request.heldBy === "store" && !request.busy && request.unchecked) behind.push(checkInStore(request));
      });
      await Promise.all(behind);
    },
    get live() {
      return live.size;
    },
    close() {
      clearInterval(timer);
    },
  };
}

function toCount(item: CheckpointItem): Count {
  return [
    item.request_id,
    item.checkpoint,
    item.input_uncached,
    item.cache_read,
    item.cache_write,
    item.output,
    item.reasoning,
  ];
}
