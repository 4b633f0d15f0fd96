/**
 * Knows the requests in flight, and says once a second to the database how far they are: one statement for all. While the database is
 * away it says so to the journal.
 */
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
  /** `held`: whether the database has its hold. */
  add(request: LiveRequest, held: boolean): void;
  /** True if the database had no hold for it. */
  remove(request: LiveRequest): boolean;
  /** A checkpoint of this request now. */
  check(request: LiveRequest): void;
  readonly live: number;
  close(): void;
};

export type CheckpointerParts = {
  store: Store;
  journal: Journal;
  /** Whether counts go into the journal always, not only while the database is away. */
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
  const live = new Set<LiveRequest>();
  /** Let in while the database was away: it hears of them when they are settled. */
  const unheld = new Set<LiveRequest>();

  const toJournal = (items: readonly CheckpointItem[]): void => {
    const record: CountRecord = { t: "count", at: new Date().toISOString(), counts: items.map(toCount) };
    const entry = journal.append(JSON.stringify(record));
    entry.done();
    entry.durable.catch((error: unknown) => onProblem("running counts could not be written to the journal", error));
  };

  const toStore = batcher(async (items: CheckpointItem[]) => {
    if (journalAll) toJournal(items);
    const results = await checkpointHolds(store, leaseMs, items);
    return items.map((item) => results.get(item.request_id));
  }, MOST_A_STATEMENT);

  const checkInJournal = (requests: readonly LiveRequest[]): void => {
    const items = requests.map((request) => request.checkpoint());
    toJournal(items);
    requests.forEach((request, index) => {
      const item = items[index];
      const more = item === undefined ? 0n : request.missing(item);
      if (more <= 0n) request.checked({ amount: request.amount, refused: null });
      else if (known.take(request.item.tenant_id, request.item.key_id, more))
        request.checked({ amount: request.amount + more, refused: null });
      else request.unchecked(AWAY);
    });
  };

  const checkInStore = (request: LiveRequest): void => {
    const item = request.checkpoint();
    toStore.add(item).then(
      (result) => request.checked(result),
      (error: unknown) => {
        if (isStoreAway(error)) presence.fail();
        else onProblem("a checkpoint failed", error);
        if (!journalAll) toJournal([item]);
        request.unchecked(AWAY);
      },
    );
  };

  const tick = (): void => {
    const now = performance.now();
    const inJournal: LiveRequest[] = [];
    for (const request of live) {
      if (request.busy || (!request.grown && now - request.checkedAt < leaseMs / 3)) continue;
      if (presence.away || unheld.has(request)) inJournal.push(request);
      else checkInStore(request);
    }
    if (inJournal.length > 0) checkInJournal(inJournal);
  };
  const timer = setInterval(tick, everyMs).unref();

  return {
    add(request, held) {
      live.add(request);
      if (!held) unheld.add(request);
    },
    remove(request) {
      live.delete(request);
      return unheld.delete(request);
    },
    check(request) {
      if (request.busy || !live.has(request)) return;
      if (presence.away || unheld.has(request)) checkInJournal([request]);
      else checkInStore(request);
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
