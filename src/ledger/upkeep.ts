/** What the ledger does beside requests: settles what dead gateways left, keeps its small tables small, and lets the journal be emptied. */
import type { Store } from "../db/open-store.ts";
import { isStoreAway } from "../db/store-error.ts";
import type { Journal } from "./journal/journal.ts";
import type { Presence } from "./presence.ts";
import { forgetCounts, sweepHolds } from "./statements.ts";

export type Upkeep = {
  /** Something was settled since. */
  worked(): void;
  close(): Promise<void>;
};

export type UpkeepOptions = {
  leaseMs: number;
  sweepMs: number;
  everyMs: number;
  onProblem: (what: string, error?: unknown) => void;
};

/** Rows in these are changed thousands of times a second; PGlite has no autovacuum, and Postgres' comes once a minute. */
const BUSY_TABLES = ["hold", "account", "budget_period", "usage_hour", "running_count"];

export function startUpkeep(store: Store, journal: Journal, presence: Presence, options: UpkeepOptions): Upkeep {
  const { leaseMs, sweepMs, everyMs, onProblem } = options;
  let work = 0;

  const sweep = async (): Promise<void> => {
    // Gateways that were cut off from the database together with this one get the time to renew their leases.
    if (presence.away || performance.now() - presence.since < leaseMs) return;
    await sweepHolds(store, []);
  };

  const tidy = async (): Promise<void> => {
    if (presence.away || work === 0) return;
    work = 0;
    await forgetCounts(store);
    for (const table of BUSY_TABLES)
      await store.run({ name: `vacuum-${table}`, text: `VACUUM (SKIP_LOCKED) ${table}` }, []);
    if (journal.bytes > 0) await journal.roll();
  };

  const running = new Set<Promise<void>>();
  const every = (ms: number, what: string, run: () => Promise<void>): NodeJS.Timeout => {
    let busy = false;
    return setInterval(() => {
      if (busy) return;
      busy = true;
      const ran = run()
        .catch((error: unknown) => {
          if (isStoreAway(error)) presence.fail();
          else onProblem(`${what} failed`, error);
        })
        .finally(() => {
          busy = false;
          running.delete(ran);
        });
      running.add(ran);
    }, ms).unref();
  };
  const timers = [every(sweepMs, "sweeping expired holds", sweep), every(everyMs, "the ledger's upkeep", tidy)];

  return {
    worked() {
      work++;
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running);
    },
  };
}
