/** The ledger while its database is away, behind a proxy that cuts or freezes: who goes on, who is refused, and what is there afterwards. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Store, openStore } from "../../src/db/open-store.ts";
import type { GatewayError } from "../../src/conversation/errors.ts";
import { costOf } from "../../src/ledger/money.ts";
import type { Ledger } from "../../src/ledger/ledger-types.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import { newRequestId } from "../../src/gateway/request-id.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import {
  PRICES,
  QUIET,
  type Payer,
  USD,
  accountOf,
  addBudget,
  addKey,
  addPayer,
  addPrice,
  countedOutputs,
  eventOf,
  expectSound,
  movingCounts,
  requestOf,
  rowOf,
  usage,
} from "../support/money.ts";
import { refusalOf } from "../support/refusal-of.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";
import { waitUntil } from "../support/wait-until.ts";

describe.each(STORE_KINDS.filter(({ kind, skip }) => kind === "postgres" && !skip))(
  "a ledger whose $kind goes away",
  ({ open }) => {
    let test: TestStore;
    let store: Store;
    let proxy: Awaited<ReturnType<typeof cutProxy>>;
    let dataDir: string;
    let ledger: Ledger;
    let problems: string[];
    const start = (): Promise<Ledger> =>
      openLedger(store, {
        dataDir,
        ...QUIET,
        checkpointMs: 50,
        patienceMs: 300,
        onProblem: (what) => problems.push(what),
      });
    beforeEach(async () => {
      test = await open();
      proxy = await cutProxy(test.options.databaseUrl!);
      dataDir = mkdtempSync(join(tmpdir(), "evener-ledger-"));
      store = await openStore({ dataDir, databaseUrl: proxy.url });
      await addPrice(store, "priced");
      problems = [];
      ledger = await start();
    });
    afterEach(async () => {
      await ledger.close(5_000);
      await store.close();
      await expectSound(test.store);
      await proxy.close();
      await test.dispose();
      rmSync(dataDir, { recursive: true, force: true });
      expect(problems).toEqual([]);
    });

    const warm = async (payer: Parameters<typeof rowOf>[0]): Promise<void> => {
      const row = rowOf(payer, { usage: usage({}) });
      await (await ledger.reserve(requestOf(row))).settle(row);
    };

    it.each(["cut", "frozen"])("bills what ends meanwhile, once it is back (%s)", async (how) => {
      const payer = await addPayer(store);
      const row = rowOf(payer);
      const reservation = await ledger.reserve(requestOf(row));
      if (how === "cut") await proxy.cut();
      else proxy.freeze();
      await reservation.settle(row);
      expect(ledger.status).toMatchObject({ pending: 1, storeAway: true });
      expect(ledger.status.journalBytes).toBeGreaterThan(500);
      if (how === "frozen") await proxy.cut();
      await proxy.mend();
      await waitUntil("the row", async () => (await eventOf(test.store, row.requestId)) !== undefined);
      expect(await accountOf(test.store, payer)).toMatchObject({ held: 0n, balance: -costOf(PRICES, row.usage) });
    });

    it("lets known postpaid tenants go on and refuses all others, and has their rows afterwards", async () => {
      const [known, unknown] = [await addPayer(store), await addPayer(store)];
      const prepaid = await addPayer(store, { terms: "prepaid", balance: 10n * USD, floor: 0n });
      await warm(known);
      await warm(prepaid);
      await proxy.cut();
      for (const payer of [prepaid, unknown])
        expect(await refusalOf(ledger.reserve(requestOf(rowOf(payer))))).toMatchObject({
          code: "store_unavailable",
          row: { status: 503 },
        });
      const rows = Array.from({ length: 20 }, () => rowOf(known));
      await Promise.all(rows.map(async (row) => (await ledger.reserve(requestOf(row))).settle(row)));
      await proxy.mend();
      await waitUntil("the rows", () => ledger.status.pending === 0);
      expect(await accountOf(test.store, known)).toMatchObject({
        held: 0n,
        balance: -20n * costOf(PRICES, rows[0]!.usage),
      });
      expect(await accountOf(test.store, prepaid)).toMatchObject({ held: 0n, balance: 10n * USD });
      // Prepaid tenants go on as soon as it is back.
      await waitUntil("the end of the outage", () => !ledger.status.storeAway);
      await warm(prepaid);
    });

    it("bills what it lets in on a standing hold before it knows that the database is away, and lets nobody in then", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
      const held = async (): Promise<bigint> => (await accountOf(test.store, payer)).held;
      for (let n = 0; n < 2; n++) await warm(payer);
      await waitUntil("a standing hold", async () => (await held()) > 0n);
      proxy.freeze();
      const rows = [rowOf(payer), rowOf(payer)];
      const [ends, lives] = [await ledger.reserve(requestOf(rows[0]!)), await ledger.reserve(requestOf(rows[1]!))];
      await ends.settle(rows[0]!);
      expect(await refusalOf(ledger.reserve(requestOf(rowOf(payer))))).toMatchObject({ code: "store_unavailable" });
      await proxy.cut();
      await proxy.mend();
      await waitUntil("the end of the outage", () => !ledger.status.storeAway);
      await lives.settle(rows[1]!);
      await waitUntil("nothing to be held", async () => (await held()) === 0n);
      expect(await accountOf(test.store, payer)).toMatchObject({
        balance: 100n * USD - 2n * costOf(PRICES, rows[0]!.usage),
      });
    });

    it("lets no prepaid tenant in on a standing hold once a connection has broken, and frees that when the database is back", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
      const held = async (): Promise<bigint> => (await accountOf(test.store, payer)).held;
      for (let n = 0; n < 2; n++) await warm(payer);
      await waitUntil("a standing hold", async () => (await held()) > 0n);
      await proxy.cut();
      await setTimeout(20);
      expect(await refusalOf(ledger.reserve(requestOf(rowOf(payer))))).toMatchObject({ code: "store_unavailable" });
      await proxy.mend();
      await waitUntil("nothing to be held", async () => (await held()) === 0n);
    });

    it("lets postpaid tenants go on only as far as their limits had room", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -100_000_000n });
      await warm(payer);
      await proxy.cut();
      const rows = Array.from({ length: 50 }, () =>
        rowOf(payer, { usage: usage({ inputUncached: 1_000, output: 1_000 }) }),
      );
      const results = await Promise.allSettled(
        rows.map(async (row) => (await ledger.reserve(requestOf(row))).settle(row)),
      );
      const admitted = results.filter(({ status }) => status === "fulfilled").length;
      expect(admitted).toBeGreaterThan(2);
      expect(admitted).toBeLessThan(7);
      await proxy.mend();
      await waitUntil("the rows", () => ledger.status.pending === 0);
      const { balance } = await accountOf(test.store, payer);
      expect(balance).toBe(BigInt(-admitted) * 18_000_000n);
      expect(balance).toBeGreaterThanOrEqual(-100_000_000n);
    });

    /** How many of so many requests, one after the other, are let in; each costs 0.018 USD. */
    const admitted = async (payer: Payer, tries = 20): Promise<number> => {
      let count = 0;
      for (let n = 0; n < tries; n++) {
        const row = rowOf(payer, { usage: usage({ inputUncached: 1_000, output: 1_000 }) });
        const reservation = await ledger.reserve(requestOf(row)).catch((error: unknown) => error as GatewayError);
        if (!("settle" in reservation)) continue;
        await reservation.settle(row);
        count++;
      }
      return count;
    };

    it("tells the budget as it was heard last, also of a model without a price", async () => {
      const payer = await addPayer(store);
      await addBudget(store, payer, "day", 5n * USD);
      const capOf = async (model: string) => {
        const row = rowOf(payer, { model });
        const reservation = await ledger.reserve(requestOf(row));
        await reservation.void();
        return reservation.cap;
      };
      expect(await capOf("costs nothing")).toBeUndefined();
      const cap = await capOf("priced");
      expect(cap).toMatchObject({ scope: "key", period: "day", limit: 5n * USD });
      expect(await capOf("costs nothing")).toEqual(cap);
      await proxy.cut();
      expect([await capOf("priced"), await capOf("costs nothing")]).toEqual([cap, cap]);
      await proxy.mend();
    });

    it("lets nobody in on terms that were changed since they were heard", async () => {
      const payer = await addPayer(store);
      await warm(payer);
      await addBudget(store, payer, "day", 0n);
      ledger.changed({ tenantId: payer.tenantId });
      await proxy.cut();
      expect(await refusalOf(ledger.reserve(requestOf(rowOf(payer))))).toMatchObject({ code: "store_unavailable" });
      await proxy.mend();
    });

    it("lets those in whom a change does not concern", async () => {
      const [changed, other] = [await addPayer(store), await addPayer(store)];
      const admits = (payer: Payer, model = "priced") =>
        ledger.reserve(requestOf(rowOf(payer, { model }))).then(
          (reservation) => reservation.void().then(() => true),
          () => false,
        );
      await addPrice(store, "dear");
      await addPrice(store, "cheap");
      await warm(changed);
      for (const model of ["priced", "dear", "cheap"]) expect(await admits(other, model)).toBe(true);
      ledger.changed({ tenantId: changed.tenantId });
      ledger.changed({ tenantId: other.tenantId, keyId: "another" });
      ledger.changed({ model: "dear" });
      await proxy.cut();
      expect([await admits(changed), await admits(other, "dear")]).toEqual([false, false]);
      expect([await admits(other), await admits(other, "cheap")]).toEqual([true, true]);
      await proxy.mend();
    });

    it("charges the price that was known where another gateway has set one since", async () => {
      const [old, later] = [2, 1].map((hours) => new Date(Date.now() - hours * 3_600_000));
      await addPrice(store, "followed", PRICES, old, old);
      const payer = await addPayer(store);
      const [known, row] = [0, 1].map(() => rowOf(payer, { model: "followed", usage: usage({ output: 100 }) }));
      await (await ledger.reserve(requestOf(known!))).void();
      await addPrice(store, "followed", { ...PRICES, output: 0n }, later, later);
      await proxy.cut();
      await (await ledger.reserve(requestOf(row!))).settle(row!);
      await proxy.mend();
      await waitUntil("the rows", () => ledger.status.pending === 0);
      expect(await eventOf(test.store, row!.requestId)).toMatchObject({ held: null, cost: costOf(PRICES, row!.usage) });
    });

    it("holds to limits though a model without a price was asked for since", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -60_000_000n });
      await warm(payer);
      const free = rowOf(payer, { model: "costs nothing" });
      await (await ledger.reserve(requestOf(free))).settle(free);
      // One that has only ever asked for such models.
      const [stranger, other] = [await addPayer(store), rowOf(payer)];
      const unpriced = { ...free, ...stranger };
      await (await ledger.reserve(requestOf({ ...unpriced, requestId: newRequestId() }))).void();
      await proxy.cut();
      expect(await admitted(payer)).toBe(2);
      await (await ledger.reserve(requestOf({ ...unpriced, requestId: newRequestId() }))).void();
      expect(await refusalOf(ledger.reserve(requestOf({ ...other, ...stranger })))).toMatchObject({
        code: "store_unavailable",
      });
      await proxy.mend();
      await waitUntil("the rows", () => ledger.status.pending === 0);
    });

    it("knows of one key what all keys of its tenant have spent", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -40_000_000n });
      const second = { ...payer, keyId: `${payer.keyId}2` };
      await addKey(store, second);
      await warm(second);
      expect(await admitted(payer, 2)).toBe(2);
      await proxy.cut();
      expect(await admitted(second)).toBe(0);
      await proxy.mend();
    });

    it("does not take for left what holds have grown by", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -60_000_000n });
      const counts = movingCounts();
      const row = rowOf(payer);
      const reservation = await ledger.reserve(requestOf(row, { counts, maxOutput: 30_000 }));
      counts.set({ inputUncached: 1_000, output: 2_700 });
      await waitUntil("the hold to grow", async () => (await accountOf(test.store, payer)).held >= 43_500_000n);
      await reservation.settle({ ...row, usage: counts.usage });
      await proxy.cut();
      expect(await admitted(payer)).toBe(0);
      await proxy.mend();
    });

    it("spends what was left once, however often the database goes away", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -60_000_000n });
      await warm(payer);
      for (const count of [2, 0]) {
        await proxy.cut();
        expect(await admitted(payer)).toBe(count);
        await proxy.mend();
        await waitUntil("the end of the outage", () => !ledger.status.storeAway && ledger.status.pending === 0);
      }
    });

    it("finds in the journal what its process did not live to bring to the database", async () => {
      const payer = await addPayer(store);
      await warm(payer);
      const before = await accountOf(store, payer);
      await proxy.cut();
      const [done, cut] = [rowOf(payer), rowOf(payer)];
      await (await ledger.reserve(requestOf(done))).settle(done);
      const counts = movingCounts();
      await ledger.reserve(requestOf(cut, { counts }));
      counts.set({ inputUncached: 300, output: 77 });
      for (const what of ["that it was let in", "a checkpoint"]) {
        const bytes = ledger.status.journalBytes;
        await waitUntil(`${what} to be in the journal`, () => ledger.status.journalBytes > bytes);
      }
      // The gateway ends without the database: what it has is in its journal.
      await ledger.close(0);
      await proxy.mend();
      ledger = await start();
      expect(ledger.recovered).toEqual({ replayed: 2, recovered: 1 });
      expect(await eventOf(store, done.requestId)).toMatchObject({ outcome: "ok", cost: costOf(PRICES, done.usage) });
      const cost = costOf(PRICES, usage({ inputUncached: 300, output: 77 }));
      expect(await eventOf(store, cut.requestId)).toMatchObject({
        outcome: "recovered",
        counted_by: "checkpoint",
        output: 77,
        cost,
      });
      expect(await accountOf(store, payer)).toMatchObject({
        held: 0n,
        balance: before.balance - cost - costOf(PRICES, done.usage),
      });
    });

    it("leaves the journal of another database alone, and says so", async () => {
      const payer = await addPayer(store);
      await warm(payer);
      await proxy.cut();
      const row = rowOf(payer);
      await (await ledger.reserve(requestOf(row))).settle(row);
      await ledger.close(0);
      await proxy.mend();
      const other = await open();
      const elsewhere = await openLedger(other.store, { dataDir, ...QUIET, onProblem: (what) => problems.push(what) });
      expect(elsewhere.recovered).toEqual({ replayed: 0, recovered: 0 });
      expect(problems.splice(0)).toEqual([expect.stringContaining("belongs to another database")]);
      await elsewhere.close(1_000);
      await other.dispose();
      ledger = await start();
      expect(ledger.recovered.replayed).toBe(1);
      expect(await eventOf(store, row.requestId)).toMatchObject({ outcome: "ok" });
    });

    it("goes on where a reservation was made and its answer lost", async () => {
      const payer = await addPayer(store);
      await warm(payer);
      proxy.freeze();
      const row = rowOf(payer);
      const reservation = await ledger.reserve(requestOf(row));
      await proxy.cut();
      await proxy.mend();
      await reservation.settle(row);
      await waitUntil("the row", async () => (await eventOf(test.store, row.requestId)) !== undefined);
      await waitUntil("the hold to be free", async () => (await accountOf(test.store, payer)).held === 0n);
    });

    it("renews leases and tells what was counted as soon as the database is back, also of what stands still", async () => {
      const payer = await addPayer(store);
      const options = { ...QUIET, checkpointMs: 20, leaseMs: 3_600_000, owner: "cut off" };
      const busy = await openLedger(store, { ...options, dataDir: join(dataDir, "cut off") });
      const row = rowOf(payer);
      const counts = movingCounts();
      const reservation = await busy.reserve(requestOf(row, { counts }));
      const hold = async () =>
        (
          await sql<{ output: number; lease_until: Date }>`
            SELECT output, lease_until FROM hold WHERE request_id = ${row.requestId}`.execute(test.store.db)
        ).rows[0]!;
      const before = await hold();
      counts.set({ output: 7 });
      await waitUntil("a note", async () => (await countedOutputs(test.store, "cut off")).includes(7));
      await proxy.cut();
      counts.set({ output: 8 });
      await waitUntil("the outage", () => busy.status.storeAway);
      const bytes = busy.status.journalBytes;
      counts.set({ output: 9 });
      await waitUntil("a count in the journal", () => busy.status.journalBytes > bytes);
      await proxy.mend();
      await waitUntil("the count in the hold", async () => (await hold()).output === 9);
      expect((await hold()).lease_until.getTime()).toBeGreaterThan(before.lease_until.getTime());
      await reservation.settle({ ...row, usage: counts.usage });
      await busy.close(5_000);
    });

    it("notes what came while a note was on its way, though nothing comes after it", async () => {
      const payer = await addPayer(store);
      const options = { ...QUIET, checkpointMs: 20, leaseMs: 3_600_000, owner: "slow" };
      const busy = await openLedger(store, { ...options, dataDir: join(dataDir, "slow") });
      const row = rowOf(payer);
      const counts = movingCounts();
      const reservation = await busy.reserve(requestOf(row, { counts }));
      counts.set({ output: 1 });
      await waitUntil("a note", async () => (await countedOutputs(test.store, "slow")).includes(1));
      await test.store.db.transaction().execute(async (held) => {
        await sql`SELECT FROM running_count WHERE owner = 'slow' FOR UPDATE`.execute(held);
        counts.set({ output: 2 });
        const waits = async () =>
          (
            await sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%running_count%'
              AND datname = current_database()`.execute(test.store.db)
          ).rows.length > 0;
        await waitUntil("a note to wait", waits);
        const bytes = busy.status.journalBytes;
        counts.set({ output: 3 });
        await waitUntil("a count in the journal", () => busy.status.journalBytes > bytes);
      });
      await waitUntil("the last count", async () => (await countedOutputs(test.store, "slow")).includes(3));
      await reservation.settle({ ...row, usage: counts.usage });
      await busy.close(5_000);
    });

    it("notes what a request has counted until the database has its end", async () => {
      const [payer, other] = [await addPayer(store), await addPayer(store)];
      const options = { ...QUIET, checkpointMs: 20, patienceMs: 60_000, owner: "ending" };
      const busy = await openLedger(store, { ...options, dataDir: join(dataDir, "ending") });
      const [row, beside] = [rowOf(payer), rowOf(other)];
      const [counts, moving] = [movingCounts(), movingCounts()];
      const [ends, goesOn] = await Promise.all([
        busy.reserve(requestOf(row, { counts })),
        busy.reserve(requestOf(beside, { counts: moving })),
      ]);
      counts.set({ inputUncached: 500, output: 300 });
      let settled: Promise<void> | undefined;
      await test.store.db.transaction().execute(async (held) => {
        await sql`SELECT FROM account WHERE tenant_id = ${payer.tenantId} FOR UPDATE`.execute(held);
        settled = ends.settle({ ...row, usage: counts.usage });
        for (const output of [7, 8]) {
          moving.set({ output });
          await waitUntil("a note", async () => (await countedOutputs(test.store, "ending")).includes(output));
          expect(await countedOutputs(test.store, "ending")).toContain(300);
        }
      });
      await settled;
      moving.set({ output: 9 });
      const noted = async () =>
        (
          await sql<{ counts: unknown[] }>`
        SELECT counts FROM running_count WHERE owner = 'ending'`.execute(test.store.db)
        ).rows[0]!.counts;
      await waitUntil("a note", async () => JSON.stringify(await noted()).includes(",9,"));
      expect(await noted()).toHaveLength(1);
      await goesOn.settle({ ...beside, usage: moving.usage });
      await busy.close(5_000);
    });
  },
);
