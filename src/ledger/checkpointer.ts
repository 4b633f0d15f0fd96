/**
 * Knows the requests in flight, and notes four times a second how far they are: in the database, one row for all; in the journal where
 * that is what is durable, and while the database is away or slow. A hold itself is written when it must grow, or its lease is to be renewed.
 */
import { InFlight, type Placed } from "../base/in-flight.ts";
import { isoTime } from "../base/iso-time.ts";
import { batcher } from "../db/batcher.ts";
import type { Store } from "../db/open-store.ts";
import { isStoreAway } from "../db/store-error.ts";
import type { Journal } from "./journal/journal.ts";
import { type Count, type CountRecord, checkpointItem } from "./journal/records.ts";
import type { KnownTerms } from "./known-terms.ts";
import type { LiveRequest } from "./live-request.ts";
import type { Presence } from "./presence.ts";
import { type CheckpointItem, checkpointHolds, noteCounts } from "./statements.ts";

export type Checkpointer = {
  add(request: LiveRequest): void;
  remove(request: LiveRequest): void;
  /**
   * As `remove`, of a request that is now being settled: until the returned function is called, which says that the database has its end, notes
   * still have what it counted. A gateway may die in between.
   */
  end(request: LiveRequest): () => void;
  /** A checkpoint of this request now. */
  check(request: LiveRequest): void;
  /** Renews the lease of a hold that is no request's. */
  renew(requestId: string, checkpoint: number): void;
  /** Resolves when the database knows what the journal has been told so far. */
  flush(): Promise<void>;
  readonly live: number;
  close(): void;
};

export type CheckpointerParts = {
  store: Store;
  owner: string;
  journal: Journal;
  /** Whether counts go into the journal instead of the database. */
  journalAll: boolean;
  presence: Presence;
  known: KnownTerms;
  leaseMs: number;
  everyMs: number;
  /** Called with each look at the requests in flight. */
  onTick: () => void;
  onProblem: (what: string, error?: unknown) => void;
};

const MOST_A_STATEMENT = 512;
const AWAY = "database away";

export function createCheckpointer(parts: CheckpointerParts): Checkpointer {
  const { store, owner, journal, journalAll, presence, known, leaseMs, everyMs, onTick, onProblem } = parts;
  const live = new InFlight<LiveRequest>();
  const ending = new InFlight<Placed & { count: Count; until: number }>();

  const toJournal = (counts: Count[]): void => {
    if (counts.length === 0) return;
    const record: CountRecord = { t: "count", at: isoTime(Date.now()), counts };
    const entry = journal.append(() => JSON.stringify(record));
    entry.done();
    entry.durable.catch((error: unknown) => onProblem("running counts could not be written to the journal", error));
  };

  const toStore = batcher(async (items: CheckpointItem[]) => {
    const results = await checkpointHolds(store, leaseMs, items);
    return items.map((item) => results.get(item.request_id));
  }, MOST_A_STATEMENT);

  const checkInStore = async (request: LiveRequest): Promise<void> => {
    const { grown } = request;
    const item = request.checkpoint();
    // The next tick will not see it as news, and the embedded database has it from kill -9 alone.
    if (journalAll && grown) toJournal([toCount(item)]);
    try {
      const result = await toStore.add(item);
      const more = result === undefined ? 0n : result.amount - request.amount;
      if (more > 0n) known.grew(request.item.tenant_id, request.item.key_id, more);
      request.checked(result);
    } catch (error) {
      if (isStoreAway(error)) presence.fail();
      else onProblem("a checkpoint failed", error);
      toJournal([toCount(item)]);
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

  /** Whether a note is on its way. */
  let noting = false;
  /** Whether the journal was told what no note has: another gateway cannot read it there. */
  let unnoted = false;
  const note = async (counts: Count[]): Promise<void> => {
    noting = true;
    try {
      await noteCounts(store, owner, counts);
    } catch (error) {
      if (isStoreAway(error)) presence.fail();
      else onProblem("running counts could not be noted", error);
      toJournal(counts);
      unnoted = true;
    }
    noting = false;
  };

  const tick = (): void => {
    onTick();
    const now = performance.now();
    const { away } = presence;
    /** A note is of all live requests, also of those that stand still. */
    const inStore = !(journalAll || away || noting);
    let news = unnoted;
    const [noted, journaled]: [Count[], Count[]] = [[], []];
    live.forEach((request) => {
      const { grown, heldBy, busy } = request;
      // What was looked at without the database has not renewed its lease, nor told the database what the journal was told.
      const renew = now - request.checkedAt > leaseMs / 3 || request.checkedAt < presence.since;
      if (!busy && (heldBy === "known" || (heldBy === "store" && away))) {
        if (grown || renew) journaled.push(toCount(checkAlone(request)));
        return;
      }
      // The count may be there before the hold is.
      if ((heldBy === "store" || request.owning !== undefined) && inStore) {
        news ||= grown;
        if (request.counts.output > 0) noted.push(toCount(request.count()));
      } else if (grown && (journalAll || !request.unowned)) {
        journaled.push(toCount(request.count()));
        if (heldBy === "store") unnoted = true;
      }
      if (heldBy === "store" && !busy && (renew || (grown && request.wanting))) void checkInStore(request);
    });
    if (news && inStore) {
      unnoted = false;
      ending.forEach((one) => {
        if (now > one.until) ending.delete(one);
        else noted.push(one.count);
      });
      if (noted.length > 0) void note(noted);
    }
    toJournal(journaled);
  };
  /** What ends before, as short answers do, never needs a hold of its own; who dies before leaves no row. */
  const ownHolds = (): void => {
    const now = performance.now();
    live.forEach((request) => {
      if (!request.unowned || now - request.begunAt < everyMs / 5) return;
      // Others may have freed what they held, but many may have been refused together.
      if (request.refusedBy === null || now - request.checkedAt > everyMs * 4) void request.own();
    });
  };
  const timers = [setInterval(tick, everyMs).unref(), setInterval(ownHolds, everyMs / 2.5).unref()];

  return {
    add: (request) => live.add(request),
    remove: (request) => void live.delete(request),
    end(request) {
      live.delete(request);
      if (journalAll || request.heldBy !== "store") return () => {};
      // What takes longer is in the journal, or refused for good; the latter is swept once its lease has run out.
      const one = { place: -1, count: toCount(request.count()), until: performance.now() + leaseMs * 2 };
      ending.add(one);
      return () => void ending.delete(one);
    },
    check(request) {
      const { heldBy } = request;
      if (request.busy || request.place < 0) return;
      if (request.unowned) void request.own();
      else if (heldBy === "none") return;
      else if (heldBy === "known" || presence.away) toJournal([toCount(checkAlone(request))]);
      else void checkInStore(request);
    },
    renew(requestId, checkpoint) {
      toStore.add(checkpointItem([requestId, checkpoint, 0, 0, 0, 0, 0])).catch((error: unknown) => {
        if (isStoreAway(error)) presence.fail();
        else onProblem("a standing hold could not be renewed", error);
      });
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
      for (const timer of timers) clearInterval(timer);
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
