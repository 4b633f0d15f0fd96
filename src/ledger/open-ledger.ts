/** Opens the ledger: does again what the journals of dead processes say, and settles the requests that they left in flight. */
import { randomUUID } from "node:crypto";
import type { Store } from "../db/open-store.ts";
import { createJournal } from "./journal/journal.ts";
import { openLeftBehind } from "./journal/left-behind.ts";
import { replayJournal } from "./journal/replay.ts";
import { createLedger } from "./ledger.ts";
import type { Ledger, LedgerOptions } from "./ledger-types.ts";
import { sweepHolds } from "./statements.ts";
import { syncEmbedded } from "./sync-embedded.ts";

/** Throws StoreError `locked` when every journal in the data directory is another gateway's. */
export async function openLedger(store: Store, options: LedgerOptions): Promise<Ledger> {
  const { dataDir, owner = randomUUID(), onProblem = () => {} } = options;
  const ledgerId = await ledgerIdOf(store);
  const left = await openLeftBehind(dataDir, { ledger: ledgerId, owner }, onProblem);
  try {
    const replayed = await replayJournal(store, left.records);
    // The embedded database has one process at a time: every hold in it is of a process that died.
    const dead = store.kind === "pglite" ? await ownersOfHolds(store) : left.deadOwners;
    const swept = await sweepHolds(store, dead);
    if (left.records.length > 0) await syncEmbedded(store);
    await left.remove();
    const journal = createJournal({
      directory: left.directory,
      first: left.first,
      ledger: ledgerId,
      beforeRemoval: async () => {
        await ledger.flush();
        await syncEmbedded(store);
      },
      onProblem,
    });
    const ledger = createLedger(store, journal, { ...options, owner });
    return {
      reserve: (request) => ledger.reserve(request),
      record: (row) => ledger.record(row),
      changed: (what) => ledger.changed(what),
      unknownSince: (tenantId) => ledger.unknownSince(tenantId),
      get status() {
        return ledger.status;
      },
      recovered: { replayed: replayed.settled, recovered: replayed.recovered + swept },
      async close(patienceMs) {
        await ledger.close(patienceMs);
        left.release();
      },
    };
  } catch (error) {
    left.release();
    throw error;
  }
}

async function ledgerIdOf(store: Store): Promise<string> {
  const { value } = await store.db
    .selectFrom("setting")
    .select("value")
    .where("name", "=", "ledger_id")
    .executeTakeFirstOrThrow();
  return value;
}

async function ownersOfHolds(store: Store): Promise<string[]> {
  const rows = await store.db.selectFrom("hold").select("owner").distinct().execute();
  return rows.map(({ owner }) => owner);
}
