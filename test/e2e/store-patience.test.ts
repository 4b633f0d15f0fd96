/** Who waits how long for Postgres: requests ten seconds, checks and reports as long as it takes, and its end for neither. */
import { setImmediate as turn } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { isStoreAway } from "../../src/db/store-error.ts";
import { verifyLedger } from "../../src/ledger/verify.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

describe.each(STORE_KINDS.filter(({ kind, skip }) => kind === "postgres" && !skip))(
  "patience with $kind",
  ({ open }) => {
    let test: TestStore;
    beforeAll(async () => {
      test = await open();
    });
    afterAll(() => test?.dispose());
    afterEach(() => vi.useRealTimers());

    /** Lets an hour pass for the timers of what runs by now. */
    const anHourPasses = async (): Promise<void> => {
      for (let turns = 0; turns < 20; turns++) await turn();
      vi.advanceTimersByTime(3_600_000);
      vi.useRealTimers();
    };

    it.each([
      ["db", "away"],
      ["patient", "answered"],
    ] as const)("a statement on %s that takes an hour: %s", async (which, outcome) => {
      const ended = await test.store[which].connection().execute(async (connection) => {
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        const running = sql`SELECT pg_sleep(0.5)`.execute(connection).then(
          () => "answered",
          (error: unknown) => (isStoreAway(error) ? "away" : error),
        );
        await anHourPasses();
        return running;
      });
      expect(ended).toBe(outcome);
    });

    it("more reports than there are connections for them wait for their turn, however long that is", async () => {
      const slow = Array.from({ length: 4 }, () => sql`SELECT pg_sleep(4)`.execute(test.store.patient));
      const { rows } = await sql<{ one: number }>`SELECT 1 AS one`.execute(test.store.patient);
      expect(rows).toEqual([{ one: 1 }]);
      await Promise.all(slow);
    });

    it("the ledger is verified although it takes an hour, and what still runs when the store closes is cut", async () => {
      const { store } = test;
      const waiting = async (): Promise<boolean> => {
        const { rows } = await sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`.execute(store.db);
        return rows.length === 1;
      };
      await store.patient.connection().execute((connection) => sql`SELECT 1`.execute(connection));
      let verified: Promise<unknown> | undefined;
      await store.db.transaction().execute(async (trx) => {
        await sql`LOCK TABLE ledger_transfer`.execute(trx);
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        verified = verifyLedger(store);
        while (!(await waiting())) await turn();
        await anHourPasses();
      });
      expect(await verified).toMatchObject({ ok: true });

      const slow = sql`SELECT pg_sleep(600)`.execute(store.patient).catch((error: unknown) => error);
      for (let turns = 0; turns < 20; turns++) await turn();
      await store.close();
      expect(isStoreAway(await slow)).toBe(true);
    });
  },
);
