/** Puts the ledger's parts together around the life of a request: reserve, checkpoint, settle. */
import { InFlight } from "../base/in-flight.ts";
import { batcher } from "../db/batcher.ts";
import type { Store } from "../db/open-store.ts";
import { isStoreAway } from "../db/store-error.ts";
import { withPatience } from "../db/with-patience.ts";
import { type AdmitParts, admit } from "./admit.ts";
import { createCheckpointer } from "./checkpointer.ts";
import { createFinisher } from "./finisher.ts";
import type { Journal } from "./journal/journal.ts";
import { createKnownTerms } from "./known-terms.ts";
import type { Ledger, LedgerOptions } from "./ledger-types.ts";
import type { Unknown } from "./open-note.ts";
import { createPresence } from "./presence.ts";
import { storeAway } from "./refusals.ts";
import { type ReservationParts, openReservation } from "./reservation.ts";
import { type SettleItem, releaseItem, settleItem } from "./settle-item.ts";
import { createSettleWriter } from "./settle-writer.ts";
import { createStandingHolds } from "./standing-holds.ts";
import { type ReserveItem, type ReserveResult, releaseHolds, reserveHolds } from "./statements.ts";
import { startUpkeep } from "./upkeep.ts";
import { createUsualOutput } from "./usual-output.ts";

const MOST_A_STATEMENT = 256;
/** What the first of many requests waits for the others: a statement for one costs as much as one for twenty. */
const RESERVE_LINGER_MS = 2;
/** Nobody waits for what standing holds have left. */
const RELEASE_LINGER_MS = 20;
/** A second of tokens is the most that a death may cost; the rest is for a machine that is busy, and for what is on its way then. */
const CHECKPOINT_MS = 250;

/** Behind a network, who is silent is away. The embedded database is there or says so: silent, it has much to do. */
const PATIENCE_MS = { postgres: 2_000, pglite: 10_000 } as const;

export function createLedger(
  store: Store,
  journal: Journal,
  options: LedgerOptions & { owner: string },
): Omit<Ledger, "recovered"> & { /** Resolves when the database knows all running counts. */ flush(): Promise<void> } {
  const { owner, leaseMs = 15_000, capacity = 50_000, onProblem = () => {} } = options;
  const { patienceMs = PATIENCE_MS[store.kind] } = options;
  /** PGlite never syncs: there the journal is what makes a step durable. Postgres needs it only while it is away. */
  const journalAll = store.kind === "pglite";
  const usual = createUsualOutput();
  const known = createKnownTerms();
  const presence = createPresence(
    () => withPatience(store.ping(), patienceMs),
    () => known.reset(),
  );
  const settles = createSettleWriter(store, presence);
  const lanes = store.kind === "pglite" ? 1 : 2;
  const reserves = batcher((items: ReserveItem[]) => reserveHolds(store, { owner, leaseMs }, items), MOST_A_STATEMENT, {
    lanes,
    lingerMs: RESERVE_LINGER_MS,
  });
  const checkpointer = createCheckpointer({
    store,
    owner,
    journal,
    journalAll,
    presence,
    known,
    leaseMs,
    everyMs: options.checkpointMs ?? CHECKPOINT_MS,
    onTick: () => standing.renew(),
    onProblem,
  });
  const finish = createFinisher({ settles, journal, journalAll, presence, patienceMs, onProblem });
  const upkeep = startUpkeep(store, journal, presence, {
    leaseMs,
    sweepMs: options.sweepMs ?? 5_000,
    everyMs: options.upkeepMs ?? 60_000,
    onProblem,
  });
  const unknown = new InFlight<Unknown>();
  let finishing = 0;
  let onFinished = (): void => {};
  const finished = (): void => {
    if (--finishing === 0) onFinished();
  };

  const end = (item: SettleItem, onApplied?: () => void): Promise<void> => {
    const ended = finish(item, onApplied);
    finishing++;
    ended.then(finished, finished);
    upkeep.worked();
    return ended;
  };

  /** Nothing was sent to an engine, and a hold may or may not be there. */
  const release = (requestId: string, accountId: number | null): void => {
    end(releaseItem(requestId, accountId)).catch((error: unknown) => onProblem("a hold could not be freed", error));
  };

  /** Undefined: the database is away. */
  const askStore = async (item: ReserveItem): Promise<ReserveResult | undefined> => {
    if (presence.away) return undefined;
    const askedAt = performance.now();
    try {
      const result = await withPatience(reserves.add(item), patienceMs);
      known.learn(item, result, askedAt);
      return result;
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      presence.fail();
      return undefined;
    }
  };

  const releases = batcher(
    async (ids: string[]) => {
      await releaseHolds(store, ids);
      return ids.map(() => undefined);
    },
    MOST_A_STATEMENT,
    { lingerMs: RELEASE_LINGER_MS },
  );
  let closing = false;
  const standing = createStandingHolds({
    reserve: askStore,
    async release(requestId) {
      for (;;) {
        await presence.back();
        // Its lease ends, and whoever sweeps frees it.
        if (closing && presence.away) return;
        try {
          await presence.answered(releases.add(requestId), patienceMs);
          return;
        } catch (error) {
          if (!isStoreAway(error)) throw error;
          presence.fail();
        }
      }
    },
    renew: (requestId, checkpoint) => checkpointer.renew(requestId, checkpoint),
    leaseMs,
    onProblem,
  });
  // Whoever asks next finds out whether the database is still there: a prepaid tenant must not go on without it.
  const heardEnough = store.onLost(() => standing.changed());
  const admitParts: AdmitParts = {
    known,
    standing,
    usual,
    askStore,
    away: () => presence.away,
    release: (requestId) => release(requestId, null),
  };
  const reservationParts: ReservationParts = {
    journal,
    journalAll,
    checkpointer,
    known,
    unknown,
    usual,
    askStore,
    end,
    release,
    patienceMs,
    onProblem,
  };

  return {
    async reserve(request) {
      if (settles.pending >= capacity) throw storeAway();
      return openReservation(request, await admit(request, admitParts), reservationParts);
    },
    record: (row) =>
      end(
        settleItem(
          row,
          { accountId: null, priceId: null, reservedAt: row.startedAt },
          { billed: false, cutBy: null, unheld: true },
        ),
      ),
    changed(what) {
      known.changed(what);
      standing.changed(what);
    },
    unknownSince(tenantId) {
      let since: Date | undefined;
      unknown.forEach((request) => {
        if (request.tenantId === tenantId && (since === undefined || request.reservedAt < since))
          since = request.reservedAt;
      });
      return since;
    },
    get status() {
      return {
        live: checkpointer.live,
        pending: settles.pending,
        storeAway: presence.away,
        journalBytes: journal.bytes,
      };
    },
    flush: () => checkpointer.flush(),
    async close(closePatienceMs) {
      checkpointer.close();
      await upkeep.close();
      await settles.close(closePatienceMs);
      if (finishing > 0) await new Promise<void>((resolve) => (onFinished = resolve));
      heardEnough();
      closing = true;
      if (presence.away) presence.close();
      await standing.close();
      await journal.close();
      presence.close();
    },
  };
}
