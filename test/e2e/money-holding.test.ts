/** What holds money and frees it again, on both stores: reserving, checkpoints, and the sweep of what nobody settles. */
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { costOf } from "../../src/ledger/money.ts";
import { releaseItem } from "../../src/ledger/settle-item.ts";
import type { Count } from "../../src/ledger/journal/records.ts";
import {
  checkpointHolds,
  forgetCounts,
  noteCounts,
  reserveHolds,
  settleItems,
  sweepHolds,
} from "../../src/ledger/statements.ts";
import { HOLD, LEASE, OWNER, countOf, endOf, itemOf, onEachStore } from "../support/money-items.ts";
import {
  PRICES,
  USD,
  accountOf,
  addBudget,
  addKey,
  addPayer,
  eventOf,
  expectSound,
  periodsOf,
  usage,
} from "../support/money.ts";

onEachStore((money) => {
  const { one } = money;

  describe("reserving", () => {
    it("holds the estimate, and settling frees it and charges what was used", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const result = await one(item);
      expect(result).toMatchObject({ refused: null, terms: "postpaid", amount: HOLD, unspent: null, cap: undefined });
      expect(result.price).toMatchObject(PRICES);
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: 0n, held: HOLD });
      const used = usage({ inputUncached: 700, cacheRead: 200, cacheWrite: 100, output: 333, reasoning: 30 });
      expect(await settleItems(money.store, [endOf(item, result, { usage: used })])).toEqual(
        new Map([[item.request_id, "settled"]]),
      );
      const cost = costOf(PRICES, used);
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: -cost, held: 0n });
      expect(await eventOf(money.store, item.request_id)).toMatchObject({
        cost,
        held: HOLD,
        price_id: BigInt(result.price!.id),
        reserved_at: result.reservedAt,
        adjusted_at: null,
        cut_by: null,
      });
      const entries = await money.store.db
        .selectFrom("ledger_entry")
        .selectAll()
        .where("transaction_id", "=", item.request_id)
        .execute();
      expect(entries.map(({ amount }) => amount).sort()).toEqual([-cost, cost].sort());
    });

    it("costs nothing and refuses nothing without a price or without a tenant", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", floor: 0n });
      const nobody = { tenantId: `ten_${"f".repeat(24)}`, keyId: payer.keyId };
      for (const item of [itemOf(payer, { model: "unpriced" }), itemOf(nobody)]) {
        const result = await one(item);
        expect(result).toMatchObject({ refused: null, accountId: null, price: null, amount: 0n });
        await settleItems(money.store, [endOf(item, result)]);
        expect(await eventOf(money.store, item.request_id)).toMatchObject({
          cost: 0n,
          account_id: null,
          price_id: null,
          output: 40,
        });
      }
    });

    it("refuses what the credit does not cover, and only that", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", balance: HOLD * 2n + 5n, floor: 0n });
      const items = [itemOf(payer), itemOf(payer), itemOf(payer), itemOf(payer, { input: 0, output: 0 })];
      const results = await reserveHolds(money.store, OWNER, items);
      expect(results.map(({ refused }) => refused)).toEqual([null, null, "account", null]);
      expect(results[0]).toMatchObject({ terms: "prepaid", unspent: 5n });
      await settleItems(
        money.store,
        items.map((item) => releaseItem(item.request_id, results[0]!.accountId)),
      );
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: HOLD * 2n + 5n, held: 0n });
    });

    it("lets a small request have what a large one before it could not", async () => {
      const payer = await addPayer(money.store, { terms: "postpaid", floor: -HOLD });
      const results = await reserveHolds(money.store, OWNER, [
        itemOf(payer, { output: 100_000 }),
        itemOf(payer),
        itemOf(payer, { output: 1 }),
      ]);
      expect(results.map(({ refused }) => refused)).toEqual(["account", null, "account"]);
    });

    it("counts budgets of tenant and key for the day, the week and the month, and names the one that refused", async () => {
      const payer = await addPayer(money.store);
      const other = { ...payer, keyId: payer.keyId.replace("key_", "key_0") };
      await addKey(money.store, other);
      const month = await addBudget(money.store, { tenantId: payer.tenantId }, "month", HOLD * 4n);
      const week = await addBudget(money.store, payer, "week", HOLD * 3n);
      const day = await addBudget(money.store, payer, "day", HOLD * 2n);
      const items = [payer, payer, payer, other, other, other].map((who) => itemOf(who));
      const results = await reserveHolds(money.store, OWNER, items);
      expect(results.map(({ refused, cap }) => [refused, refused && cap?.scope, refused && cap?.period])).toEqual([
        [null, null, null],
        [null, null, null],
        ["budget", "key", "day"],
        [null, null, null],
        [null, null, null],
        ["budget", "tenant", "month"],
      ]);
      expect(results[2]!.cap).toMatchObject({ limit: HOLD * 2n, spent: 0n });
      expect(results[2]!.cap!.resetsAt.getTime() % 86_400_000).toBe(0);
      expect(await periodsOf(money.store, month)).toMatchObject([{ held: HOLD * 4n, spent: 0n }]);
      await settleItems(money.store, [endOf(items[0]!, results[0]!, { usage: usage({ output: 200 }) })]);
      const cost = 200n * 15_000n;
      for (const [budget, held] of [
        [month, 3n],
        [week, 1n],
        [day, 1n],
      ] as const)
        expect(await periodsOf(money.store, budget)).toMatchObject([{ held: HOLD * held, spent: cost }]);
    });

    it("tells how far budgets are spent", async () => {
      const payer = await addPayer(money.store);
      await addBudget(money.store, payer, "day", 10n * USD);
      await addBudget(money.store, { tenantId: payer.tenantId }, "month", 4n * USD);
      const first = itemOf(payer);
      const begun = await one(first);
      expect(begun.cap).toMatchObject({ spent: 0n });
      await settleItems(money.store, [endOf(first, begun, { usage: usage({ output: 200_000 }) })]);
      const next = await one(itemOf(payer));
      expect(next.cap).toMatchObject({ scope: "tenant", period: "month", limit: 4n * USD, spent: 3n * USD });
      expect(next.unspent).toBe(USD - HOLD);
    });

    it("holds once for a request that is sent twice", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      await one(item);
      await one(item);
      expect(await accountOf(money.store, payer)).toMatchObject({ held: HOLD });
    });

    it("does many tenants at once, each by its own limits", async () => {
      const rich = await addPayer(money.store);
      const poor = await addPayer(money.store, { terms: "postpaid", floor: -HOLD });
      const items = Array.from({ length: 40 }, (_, index) => itemOf(index % 2 === 0 ? rich : poor));
      const results = await reserveHolds(money.store, OWNER, items);
      expect(results.filter(({ refused }) => refused === null)).toHaveLength(21);
      expect(results[1]!.refused).toBeNull();
      await settleItems(
        money.store,
        items.flatMap((item, index) => (results[index]!.refused ? [] : [endOf(item, results[index]!)])),
      );
      expect(await accountOf(money.store, poor)).toMatchObject({ held: 0n });
    });
  });

  describe("checkpoints", () => {
    it("note counts, and enlarge a hold that no longer covers them", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      await one(item);
      expect(await checkpointHolds(money.store, LEASE, [countOf(item, 1, 500)])).toEqual(
        new Map([[item.request_id, { amount: HOLD, refused: null }]]),
      );
      const grown = costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, output: 2_600 }));
      expect(await checkpointHolds(money.store, LEASE, [countOf(item, 2, 2_000, 600)])).toEqual(
        new Map([[item.request_id, { amount: grown, refused: null }]]),
      );
      expect(await accountOf(money.store, payer)).toMatchObject({ held: grown });
      // One that comes late, or twice, changes nothing.
      expect(
        await checkpointHolds(money.store, LEASE, [countOf(item, 2, 1, 9_000), countOf(itemOf(payer), 1, 1)]),
      ).toEqual(new Map());
      const [hold] = await money.store.db
        .selectFrom("hold")
        .select(["amount", sql<number>`output`.as("output")])
        .where("request_id", "=", item.request_id)
        .execute();
      expect(hold).toEqual({ amount: grown, output: 2_000 });
    });

    it("refuse a larger hold that does not fit, by its name, and keep the old one", async () => {
      const payer = await addPayer(money.store, { terms: "postpaid", floor: -HOLD * 3n });
      await addBudget(money.store, { tenantId: payer.tenantId }, "week", HOLD * 2n);
      const [tight, free] = [itemOf(payer), itemOf(payer)];
      await reserveHolds(money.store, OWNER, [tight, free]);
      const results = await checkpointHolds(money.store, LEASE, [countOf(tight, 1, 1_000, 500), countOf(free, 1, 10)]);
      expect(results.get(tight.request_id)).toEqual({ amount: HOLD, refused: "tenant week budget" });
      expect(results.get(free.request_id)).toEqual({ amount: HOLD, refused: null });
      await money.store.db
        .updateTable("budget")
        .set({ amount: 100n * USD })
        .where("tenant_id", "=", payer.tenantId)
        .execute();
      const again = await checkpointHolds(money.store, LEASE, [countOf(tight, 2, 1_000, 5_000)]);
      expect(again.get(tight.request_id)).toEqual({ amount: HOLD, refused: "account" });
    });

    it("renew the lease that a sweep goes by", async () => {
      const payer = await addPayer(money.store);
      const [kept, left] = [itemOf(payer), itemOf(payer)];
      await reserveHolds(money.store, { owner: "test", leaseMs: 1 }, [kept, left]);
      await checkpointHolds(money.store, LEASE, [countOf(kept, 1, 10)]);
      await sweepHolds(money.store, []);
      expect(await eventOf(money.store, kept.request_id)).toBeUndefined();
      expect(await eventOf(money.store, left.request_id)).toMatchObject({ outcome: "recovered", cost: 0n });
    });
  });

  describe("sweeping", () => {
    it("settles at the last checkpoint, and a later truth is an adjustment", async () => {
      const payer = await addPayer(money.store);
      const budget = await addBudget(money.store, payer, "month", 10n * USD);
      const item = itemOf(payer);
      const result = (await reserveHolds(money.store, { owner: "dead", leaseMs: LEASE }, [item]))[0]!;
      await checkpointHolds(money.store, LEASE, [countOf(item, 1, 400)]);
      await sweepHolds(money.store, []);
      expect(await eventOf(money.store, item.request_id)).toBeUndefined();
      expect(await sweepHolds(money.store, ["dead"])).toBe(1);
      const recovered = costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, output: 400 }));
      expect(await eventOf(money.store, item.request_id)).toMatchObject({
        outcome: "recovered",
        counted_by: "checkpoint",
        cost: recovered,
        output: 400,
        session: "s-1",
        wire: "test",
        requested_model: "claude",
        streamed: true,
      });
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: -recovered, held: 0n });
      await expectSound(money.store);

      const used = usage({ inputUncached: 900, cacheRead: 100, output: 450, reasoning: 7 });
      expect(await settleItems(money.store, [endOf(item, result, { usage: used })])).toEqual(
        new Map([[item.request_id, "adjusted"]]),
      );
      const cost = costOf(PRICES, used);
      expect(await eventOf(money.store, item.request_id)).toMatchObject({
        outcome: "ok",
        counted_by: "engine",
        cost,
        output: 450,
        reasoning: 7,
      });
      expect((await eventOf(money.store, item.request_id))!.adjusted_at).toBeInstanceOf(Date);
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: -cost, held: 0n });
      expect(await periodsOf(money.store, budget)).toMatchObject([{ spent: cost, held: 0n }]);
      const entries = await money.store.db
        .selectFrom("ledger_entry")
        .select(["kind", "amount"])
        .where("transaction_id", "=", item.request_id)
        .where("amount", "<", 0n)
        .orderBy("kind")
        .execute();
      expect(entries).toEqual([
        { kind: "adjustment", amount: recovered - cost },
        { kind: "usage", amount: -recovered },
      ]);
      // Once: what is true is not adjusted again, neither by the same nor by another count.
      expect(await settleItems(money.store, [endOf(item, result, { usage: usage({ output: 1 }) })])).toEqual(new Map());
    });

    it("settles at what the gateway noted of all its requests, where that is later than what the hold knows", async () => {
      const payer = await addPayer(money.store);
      const [noted, checked, silent, elsewhere] = [itemOf(payer), itemOf(payer), itemOf(payer), itemOf(payer)];
      await reserveHolds(money.store, { owner: "noting", leaseMs: LEASE }, [noted, checked, silent]);
      await reserveHolds(money.store, { owner: "another", leaseMs: LEASE }, [elsewhere]);
      await checkpointHolds(money.store, LEASE, [countOf(checked, 7, 500), countOf(noted, 2, 100)]);
      const note = (id: string, checkpoint: number, output: number) =>
        [id, checkpoint, 900, 100, 5, output, 3] satisfies Count;
      await noteCounts(money.store, "noting", [note(noted.request_id, 3, 200), note("gone", 1, 9)]);
      // Each note takes the place of the one before.
      await noteCounts(money.store, "noting", [
        note(noted.request_id, 4, 300),
        note(checked.request_id, 6, 400),
        note(elsewhere.request_id, 9, 900),
        note("req_gone", 5, 10),
      ]);
      expect(await sweepHolds(money.store, [])).toBe(0);
      expect(await sweepHolds(money.store, ["noting", "another"])).toBe(4);
      expect(await eventOf(money.store, noted.request_id)).toMatchObject({
        outcome: "recovered",
        counted_by: "checkpoint",
        input_uncached: 900,
        cache_read: 100,
        cache_write: 5,
        output: 300,
        reasoning: 3,
        cost: costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, cacheWrite: 5, output: 300 })),
      });
      expect(await eventOf(money.store, checked.request_id)).toMatchObject({ output: 500, cache_write: 0 });
      for (const { request_id } of [silent, elsewhere])
        expect(await eventOf(money.store, request_id)).toMatchObject({ output: 0, cost: 0n });
    });

    it("goes by the note also where only the lease has run out", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      await reserveHolds(money.store, { owner: "silent", leaseMs: 1 }, [item]);
      await noteCounts(money.store, "silent", [[item.request_id, 1, 900, 100, 0, 77, 0]]);
      await sweepHolds(money.store, []);
      expect(await eventOf(money.store, item.request_id)).toMatchObject({ outcome: "recovered", output: 77 });
    });

    it("forgets the notes of gateways that are gone, and no others", async () => {
      const payer = await addPayer(money.store);
      for (const owner of ["long gone", "long busy", "new"]) await noteCounts(money.store, owner, []);
      await reserveHolds(money.store, { owner: "long busy", leaseMs: LEASE }, [itemOf(payer)]);
      await sql`UPDATE running_count SET at = at - interval '2 hours' WHERE owner <> 'new'`.execute(money.store.db);
      await forgetCounts(money.store);
      const { rows } = await sql<{ owner: string }>`
        SELECT owner FROM running_count WHERE owner LIKE 'long%' OR owner = 'new' ORDER BY owner`.execute(
        money.store.db,
      );
      expect(rows.map(({ owner }) => owner)).toEqual(["long busy", "new"]);
      await sweepHolds(money.store, ["long busy"]);
    });

    it("gives back what was recovered of a request that turns out to cost nothing", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const result = (await reserveHolds(money.store, { owner: "dead", leaseMs: LEASE }, [item]))[0]!;
      await checkpointHolds(money.store, LEASE, [countOf(item, 1, 400)]);
      await sweepHolds(money.store, ["dead"]);
      expect((await accountOf(money.store, payer)).balance).toBeLessThan(0n);
      await settleItems(money.store, [endOf(item, result, { outcome: "error" }, false)]);
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: 0n, held: 0n });
    });

    it("sweeps more than one batch, from two sides at once, each hold once", async () => {
      const payer = await addPayer(money.store);
      const items = Array.from({ length: 1_200 }, () => itemOf(payer));
      for (let at = 0; at < items.length; at += 200)
        await reserveHolds(money.store, { owner: "dead", leaseMs: LEASE }, items.slice(at, at + 200));
      const swept = await Promise.all([sweepHolds(money.store, ["dead"]), sweepHolds(money.store, ["dead"])]);
      expect(swept[0] + swept[1]).toBe(1_200);
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: 0n, held: 0n });
    });
  });
});
