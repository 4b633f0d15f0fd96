/** The statements that move money, on both stores: what is held, refused, charged, adjusted and swept, and what the database refuses by itself. */
import * as fc from "fast-check";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { compositeArray } from "../../src/db/composite-array.ts";
import type { Store } from "../../src/db/open-store.ts";
import { costOf, holdFor } from "../../src/ledger/money.ts";
import { rebuildRollups } from "../../src/ledger/rollups.ts";
import { CHECKPOINT_COLUMNS, RESERVE_COLUMNS, SETTLE_COLUMNS } from "../../src/ledger/item-columns.ts";
import { type SettleItem, releaseItem, settleItem } from "../../src/ledger/settle-item.ts";
import { newRequestId } from "../../src/gateway/request-id.ts";
import {
  type CheckpointItem,
  type ReserveItem,
  type ReserveResult,
  checkpointHolds,
  reserveHolds,
  settleItems,
  sweepHolds,
} from "../../src/ledger/statements.ts";
import { storableText } from "../../src/ledger/storable-text.ts";
import type { UsageRow } from "../../src/ledger/usage-row.ts";
import {
  PRICES,
  type Payer,
  USD,
  accountOf,
  addBudget,
  addKey,
  addPayer,
  addPrice,
  eventOf,
  expectSound,
  periodsOf,
  rowOf,
  usage,
} from "../support/money.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const LEASE = 60_000;
const OWNER = { owner: "test", leaseMs: LEASE };

/** Everything that means something in a row's or an array's text. */
const NASTY = {
  request_id: String.raw`\"\\""(a,b){c}`,
  tenant_id: " \n\t",
  key_id: "NULL",
  model: "null",
  input: 0,
  session: "",
  streamed: false,
};

function itemOf(payer: Payer, given: Partial<ReserveItem> = {}): ReserveItem {
  return {
    request_id: newRequestId(),
    tenant_id: payer.tenantId,
    key_id: payer.keyId,
    model: "priced",
    input: 1_000,
    output: 1_000,
    requested_model: "claude",
    wire: "test",
    streamed: true,
    session: "s-1",
    agent: null,
    started_at: new Date().toISOString(),
    ...given,
  };
}

function endOf(item: ReserveItem, result: ReserveResult, given: Partial<UsageRow> = {}, billed = true): SettleItem {
  const row = rowOf(
    { tenantId: item.tenant_id, keyId: item.key_id },
    { requestId: item.request_id, model: item.model, ...given },
  );
  const { accountId, reservedAt } = result;
  return settleItem(row, { accountId, priceId: result.price?.id ?? null, reservedAt }, { billed, cutBy: null });
}

function countOf(item: ReserveItem, checkpoint: number, output: number, ahead = 0): CheckpointItem {
  return {
    request_id: item.request_id,
    checkpoint,
    input_uncached: 900,
    cache_read: 100,
    cache_write: 0,
    output,
    reasoning: 0,
    ahead,
  };
}

const HOLD = holdFor(PRICES, 1_000, 1_000);

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("money on $kind", ({ open }) => {
  let test: TestStore;
  let store: Store;
  beforeAll(async () => {
    test = await open();
    store = test.store;
    await addPrice(store, "priced", PRICES, new Date("2020-01-01T00:00:00Z"));
  });
  afterEach(() => expectSound(store));
  afterAll(() => test.dispose());

  const one = async (item: ReserveItem): Promise<ReserveResult> => (await reserveHolds(store, OWNER, [item]))[0]!;

  describe("reserving", () => {
    it("holds the estimate, and settling frees it and charges what was used", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      const result = await one(item);
      expect(result).toMatchObject({ refused: null, terms: "postpaid", amount: HOLD, unspent: null, cap: undefined });
      expect(result.price).toMatchObject(PRICES);
      expect(await accountOf(store, payer)).toMatchObject({ balance: 0n, held: HOLD });
      const used = usage({ inputUncached: 700, cacheRead: 200, cacheWrite: 100, output: 333, reasoning: 30 });
      expect(await settleItems(store, [endOf(item, result, { usage: used })])).toEqual(
        new Map([[item.request_id, "settled"]]),
      );
      const cost = costOf(PRICES, used);
      expect(await accountOf(store, payer)).toMatchObject({ balance: -cost, held: 0n });
      expect(await eventOf(store, item.request_id)).toMatchObject({
        cost,
        held: HOLD,
        price_id: BigInt(result.price!.id),
        reserved_at: result.reservedAt,
        adjusted_at: null,
        cut_by: null,
      });
      const entries = await store.db
        .selectFrom("ledger_entry")
        .selectAll()
        .where("transaction_id", "=", item.request_id)
        .execute();
      expect(entries.map(({ amount }) => amount).sort()).toEqual([-cost, cost].sort());
    });

    it("costs nothing and refuses nothing without a price or without a tenant", async () => {
      const payer = await addPayer(store, { terms: "prepaid", floor: 0n });
      const nobody = { tenantId: `ten_${"f".repeat(24)}`, keyId: payer.keyId };
      for (const item of [itemOf(payer, { model: "unpriced" }), itemOf(nobody)]) {
        const result = await one(item);
        expect(result).toMatchObject({ refused: null, accountId: null, price: null, amount: 0n });
        await settleItems(store, [endOf(item, result)]);
        expect(await eventOf(store, item.request_id)).toMatchObject({
          cost: 0n,
          account_id: null,
          price_id: null,
          output: 40,
        });
      }
    });

    it("refuses what the credit does not cover, and only that", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: HOLD * 2n + 5n, floor: 0n });
      const items = [itemOf(payer), itemOf(payer), itemOf(payer), itemOf(payer, { input: 0, output: 0 })];
      const results = await reserveHolds(store, OWNER, items);
      expect(results.map(({ refused }) => refused)).toEqual([null, null, "account", null]);
      expect(results[0]).toMatchObject({ terms: "prepaid", unspent: 5n });
      await settleItems(
        store,
        items.map((item) => releaseItem(item.request_id, results[0]!.accountId)),
      );
      expect(await accountOf(store, payer)).toMatchObject({ balance: HOLD * 2n + 5n, held: 0n });
    });

    it("lets a small request have what a large one before it could not", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -HOLD });
      const results = await reserveHolds(store, OWNER, [
        itemOf(payer, { output: 100_000 }),
        itemOf(payer),
        itemOf(payer, { output: 1 }),
      ]);
      expect(results.map(({ refused }) => refused)).toEqual(["account", null, "account"]);
    });

    it("counts budgets of tenant and key for the day, the week and the month, and names the one that refused", async () => {
      const payer = await addPayer(store);
      const other = { ...payer, keyId: payer.keyId.replace("key_", "key_0") };
      await addKey(store, other);
      const month = await addBudget(store, { tenantId: payer.tenantId }, "month", HOLD * 4n);
      const week = await addBudget(store, payer, "week", HOLD * 3n);
      const day = await addBudget(store, payer, "day", HOLD * 2n);
      const items = [payer, payer, payer, other, other, other].map((who) => itemOf(who));
      const results = await reserveHolds(store, OWNER, items);
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
      expect(await periodsOf(store, month)).toMatchObject([{ held: HOLD * 4n, spent: 0n }]);
      await settleItems(store, [endOf(items[0]!, results[0]!, { usage: usage({ output: 200 }) })]);
      const cost = 200n * 15_000n;
      for (const [budget, held] of [
        [month, 3n],
        [week, 1n],
        [day, 1n],
      ] as const)
        expect(await periodsOf(store, budget)).toMatchObject([{ held: HOLD * held, spent: cost }]);
    });

    it("tells how far budgets are spent", async () => {
      const payer = await addPayer(store);
      await addBudget(store, payer, "day", 10n * USD);
      await addBudget(store, { tenantId: payer.tenantId }, "month", 4n * USD);
      const first = itemOf(payer);
      const begun = await one(first);
      expect(begun.cap).toMatchObject({ spent: 0n });
      await settleItems(store, [endOf(first, begun, { usage: usage({ output: 200_000 }) })]);
      const next = await one(itemOf(payer));
      expect(next.cap).toMatchObject({ scope: "tenant", period: "month", limit: 4n * USD, spent: 3n * USD });
      expect(next.unspent).toBe(USD - HOLD);
    });

    it("holds once for a request that is sent twice", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      await one(item);
      await one(item);
      expect(await accountOf(store, payer)).toMatchObject({ held: HOLD });
    });

    it("does many tenants at once, each by its own limits", async () => {
      const rich = await addPayer(store);
      const poor = await addPayer(store, { terms: "postpaid", floor: -HOLD });
      const items = Array.from({ length: 40 }, (_, index) => itemOf(index % 2 === 0 ? rich : poor));
      const results = await reserveHolds(store, OWNER, items);
      expect(results.filter(({ refused }) => refused === null)).toHaveLength(21);
      expect(results[1]!.refused).toBeNull();
      await settleItems(
        store,
        items.flatMap((item, index) => (results[index]!.refused ? [] : [endOf(item, results[index]!)])),
      );
      expect(await accountOf(store, poor)).toMatchObject({ held: 0n });
    });
  });

  describe("checkpoints", () => {
    it("note counts, and enlarge a hold that no longer covers them", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      await one(item);
      expect(await checkpointHolds(store, LEASE, [countOf(item, 1, 500)])).toEqual(
        new Map([[item.request_id, { amount: HOLD, refused: null }]]),
      );
      const grown = costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, output: 2_600 }));
      expect(await checkpointHolds(store, LEASE, [countOf(item, 2, 2_000, 600)])).toEqual(
        new Map([[item.request_id, { amount: grown, refused: null }]]),
      );
      expect(await accountOf(store, payer)).toMatchObject({ held: grown });
      // One that comes late, or twice, changes nothing.
      expect(await checkpointHolds(store, LEASE, [countOf(item, 2, 1, 9_000), countOf(itemOf(payer), 1, 1)])).toEqual(
        new Map(),
      );
      const [hold] = await store.db
        .selectFrom("hold")
        .select(["amount", sql<number>`output`.as("output")])
        .where("request_id", "=", item.request_id)
        .execute();
      expect(hold).toEqual({ amount: grown, output: 2_000 });
    });

    it("refuse a larger hold that does not fit, by its name, and keep the old one", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -HOLD * 3n });
      await addBudget(store, { tenantId: payer.tenantId }, "week", HOLD * 2n);
      const [tight, free] = [itemOf(payer), itemOf(payer)];
      await reserveHolds(store, OWNER, [tight, free]);
      const results = await checkpointHolds(store, LEASE, [countOf(tight, 1, 1_000, 500), countOf(free, 1, 10)]);
      expect(results.get(tight.request_id)).toEqual({ amount: HOLD, refused: "tenant week budget" });
      expect(results.get(free.request_id)).toEqual({ amount: HOLD, refused: null });
      await store.db
        .updateTable("budget")
        .set({ amount: 100n * USD })
        .where("tenant_id", "=", payer.tenantId)
        .execute();
      const again = await checkpointHolds(store, LEASE, [countOf(tight, 2, 1_000, 5_000)]);
      expect(again.get(tight.request_id)).toEqual({ amount: HOLD, refused: "account" });
    });

    it("renew the lease that a sweep goes by", async () => {
      const payer = await addPayer(store);
      const [kept, left] = [itemOf(payer), itemOf(payer)];
      await reserveHolds(store, { owner: "test", leaseMs: 1 }, [kept, left]);
      await checkpointHolds(store, LEASE, [countOf(kept, 1, 10)]);
      await sweepHolds(store, []);
      expect(await eventOf(store, kept.request_id)).toBeUndefined();
      expect(await eventOf(store, left.request_id)).toMatchObject({ outcome: "recovered", cost: 0n });
    });
  });

  describe("settling", () => {
    it("twice, or a thousand times, charges once", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      const result = await one(item);
      const end = endOf(item, result);
      await Promise.all(Array.from({ length: 10 }, () => settleItems(store, [end, end])));
      const cost = costOf(PRICES, rowOf(payer).usage);
      expect(await accountOf(store, payer)).toMatchObject({ balance: -cost, held: 0n });
      // Another count of the same request is not another truth.
      expect(await settleItems(store, [endOf(item, result, { usage: usage({ output: 9_999 }) })])).toEqual(new Map());
      expect(await accountOf(store, payer)).toMatchObject({ balance: -cost });
    });

    it("takes the truth, where it comes together with what was recovered", async () => {
      for (const truthFirst of [true, false]) {
        const payer = await addPayer(store);
        const item = itemOf(payer);
        const result = await one(item);
        const truth = endOf(item, result, { usage: usage({ output: 500 }) });
        const recovered = endOf(item, result, { usage: usage({ output: 200 }), outcome: "recovered" });
        await settleItems(store, truthFirst ? [truth, recovered] : [recovered, truth]);
        expect(await eventOf(store, item.request_id)).toMatchObject({ outcome: "ok", output: 500, adjusted_at: null });
        expect(await accountOf(store, payer)).toMatchObject({
          balance: -costOf(PRICES, usage({ output: 500 })),
          held: 0n,
        });
      }
    });

    it("works without a hold, in the period of its reservation", async () => {
      const payer = await addPayer(store);
      const budget = await addBudget(store, { tenantId: payer.tenantId }, "day", 10n * USD);
      const item = itemOf(payer);
      const begun = await one(itemOf(payer));
      const end = endOf(item, begun, { usage: usage({ output: 1_000 }) });
      await settleItems(store, [end]);
      expect(await eventOf(store, item.request_id)).toMatchObject({ held: null, cost: 15_000_000n });
      expect(await periodsOf(store, budget)).toMatchObject([{ spent: 15_000_000n, held: HOLD }]);
    });

    it("voids before the first byte: nothing is charged, whatever was counted", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: USD, floor: 0n });
      const [failed, gone] = [itemOf(payer), itemOf(payer)];
      const [result] = await reserveHolds(store, OWNER, [failed, gone]);
      await settleItems(store, [
        endOf(failed, result!, { outcome: "error", errorCode: "engine_unreachable" }, false),
        releaseItem(gone.request_id, result!.accountId),
      ]);
      expect(await eventOf(store, failed.request_id)).toMatchObject({ cost: 0n, outcome: "error", output: 40 });
      expect(await eventOf(store, gone.request_id)).toBeUndefined();
      expect(await accountOf(store, payer)).toMatchObject({ balance: USD, held: 0n });
    });

    it("takes a row that the database refuses as a fault of that row", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      const end = { ...endOf(item, await one(item)), reasoning: 41 };
      await expect(settleItems(store, [end])).rejects.toMatchObject({ code: "23514" });
      expect(await accountOf(store, payer)).toMatchObject({ held: HOLD, balance: 0n });
      await settleItems(store, [releaseItem(item.request_id, null)]);
    });
  });

  describe("a request that held nothing and costs nothing", () => {
    const freeOf = (payer: Payer, given: Partial<UsageRow> = {}): SettleItem =>
      settleItem(
        rowOf(payer, { model: "unpriced", ...given }),
        { accountId: null, priceId: null, reservedAt: new Date("2026-11-22T10:59:59.999Z") },
        { billed: true, cutBy: null, unheld: true },
      );

    it("leaves its row and its roll-up, once, however often it is told", async () => {
      const payer = await addPayer(store, { terms: "prepaid", floor: 0n });
      const items = [freeOf(payer), freeOf(payer, { outcome: "client_gone" }), freeOf(payer)];
      const ids = items.map((item) => item.request_id);
      expect([...(await settleItems(store, [...items, items[0]!])).keys()].sort()).toEqual(ids.sort());
      expect(await settleItems(store, items)).toEqual(new Map());
      expect(await eventOf(store, ids[0]!)).toMatchObject({
        output: 40,
        cost: 0n,
        held: null,
        price_id: null,
        account_id: null,
        unbilled_output: 0,
        reserved_at: new Date("2026-11-22T10:59:59.999Z"),
      });
      const hours = await store.db
        .selectFrom("usage_hour")
        .select(["hour", "requests", "not_ok", "output", "cost"])
        .where("tenant_id", "=", payer.tenantId)
        .execute();
      expect(hours).toEqual([
        { hour: new Date("2026-11-22T10:00:00Z"), requests: 3n, not_ok: 1n, output: 120n, cost: 0n },
      ]);
    });

    it("is told the truth of when it had been recovered, and not when it had ended", async () => {
      const payer = await addPayer(store);
      const [recovered, ended] = [freeOf(payer, { outcome: "recovered", usage: usage({ output: 3 }) }), freeOf(payer)];
      await settleItems(store, [recovered, ended]);
      const truth = { ...recovered, outcome: "ok" as const, output: 9, reasoning: 0 };
      const third = freeOf(payer);
      expect(await settleItems(store, [truth, { ...ended, output: 1, reasoning: 0 }, third])).toEqual(
        new Map([
          [recovered.request_id, "adjusted"],
          [third.request_id, "settled"],
        ]),
      );
      expect(await eventOf(store, recovered.request_id)).toMatchObject({ outcome: "ok", output: 9, cost: 0n });
      expect(await eventOf(store, ended.request_id)).toMatchObject({ output: 40 });
    });

    it("is written beside one that costs something", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      const free = freeOf(payer);
      await settleItems(store, [free, endOf(item, await one(item))]);
      expect(await eventOf(store, free.request_id)).toMatchObject({ cost: 0n, output: 40 });
      expect((await eventOf(store, item.request_id))!.cost).toBeGreaterThan(0n);
    });
  });

  describe("a request that costs more than was held", () => {
    const TOKEN = PRICES.output / 1000n;
    const capped = (end: SettleItem): SettleItem => ({ ...end, capped: true });
    const used = usage({ inputUncached: 900, cacheRead: 100, output: 5_000 });
    const cost = costOf(PRICES, used);

    it("is charged in full where limits have room, and where there are none", async () => {
      for (const payer of [
        await addPayer(store, { terms: "prepaid", balance: cost, floor: 0n }),
        await addPayer(store),
      ]) {
        const item = itemOf(payer);
        await settleItems(store, [capped(endOf(item, await one(item), { usage: used }))]);
        expect(await eventOf(store, item.request_id)).toMatchObject({
          cost,
          held: cost,
          output: 5_000,
          unbilled_prompt: 0,
          unbilled_output: 0,
        });
      }
    });

    it("is charged up to its limit and not a token beyond, and says what was not billed", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: HOLD + 10n * TOKEN + 1n, floor: 0n });
      const item = itemOf(payer);
      await settleItems(store, [capped(endOf(item, await one(item), { usage: { ...used, reasoning: 4_900 } }))]);
      const event = (await eventOf(store, item.request_id))!;
      expect(event.output + event.unbilled_output).toBe(5_000);
      expect(event).toMatchObject({
        input_uncached: 900,
        cache_read: 100,
        unbilled_prompt: 0,
        reasoning: event.output,
      });
      const { balance, held } = await accountOf(store, payer);
      expect(held).toBe(0n);
      expect(balance).toBeGreaterThanOrEqual(0n);
      expect(balance).toBeLessThan(TOKEN);
    });

    it("leaves every budget within its amount, whichever is the tightest", async () => {
      for (const tight of ["tenant", "key"]) {
        const payer = await addPayer(store);
        const room = (scope: string) => HOLD + (scope === tight ? 7n : 1_000n) * TOKEN;
        const ofTenant = await addBudget(store, { tenantId: payer.tenantId }, "week", room("tenant"));
        const ofKey = await addBudget(store, payer, "day", room("key"));
        const item = itemOf(payer);
        await settleItems(store, [capped(endOf(item, await one(item), { usage: used }))]);
        for (const budget of [ofTenant, ofKey]) {
          const [period] = await periodsOf(store, budget);
          expect(period!.held).toBe(0n);
          expect(period!.spent).toBeLessThanOrEqual(HOLD + 7n * TOKEN);
          expect(period!.spent).toBeGreaterThan(HOLD + 6n * TOKEN);
        }
      }
    });

    it("shares what is left with others that end with it", async () => {
      const payer = await addPayer(store, { terms: "postpaid", floor: -(HOLD * 3n + 100n * TOKEN) });
      const items = [itemOf(payer), itemOf(payer), itemOf(payer)];
      const results = await reserveHolds(store, OWNER, items);
      const ends = items.map((item, index) => capped(endOf(item, results[index]!, { usage: used })));
      // Sent twice, as after a lost answer.
      await settleItems(store, [...ends, ends[0]!]);
      const { balance } = await accountOf(store, payer);
      expect(balance).toBeGreaterThanOrEqual(-(HOLD * 3n + 100n * TOKEN));
      expect(balance).toBeLessThan(-(HOLD * 3n + 97n * TOKEN));
    });

    it("does not bill what of a prompt was estimated too low and is not covered", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: HOLD, floor: 0n });
      const item = itemOf(payer);
      const long = usage({ inputUncached: 10_000, cacheRead: 50, output: 30 });
      await settleItems(store, [capped(endOf(item, await one(item), { usage: long }))]);
      const event = (await eventOf(store, item.request_id))!;
      expect(event).toMatchObject({ cache_read: 50, output: 0, unbilled_output: 30 });
      expect(event.input_uncached + event.unbilled_prompt).toBe(10_000);
      expect(event.input_uncached).toBeGreaterThan(6_000);
      expect((await accountOf(store, payer)).balance).toBeGreaterThanOrEqual(0n);
    });

    it("is charged no more when its gateway died and its last count was beyond its hold", async () => {
      const payer = await addPayer(store, { terms: "prepaid", balance: HOLD + 3n * TOKEN, floor: 0n });
      const item = itemOf(payer);
      await reserveHolds(store, { owner: "dead", leaseMs: LEASE }, [item]);
      expect((await checkpointHolds(store, LEASE, [countOf(item, 1, 5_000)])).get(item.request_id)).toMatchObject({
        refused: "account",
      });
      await sweepHolds(store, ["dead"]);
      const event = (await eventOf(store, item.request_id))!;
      expect(event.output + event.unbilled_output).toBe(5_000);
      expect((await accountOf(store, payer)).balance).toBeLessThan(TOKEN);
      expect((await accountOf(store, payer)).balance).toBeGreaterThanOrEqual(0n);
    });

    it("is not charged less when a limit was lowered meanwhile: what was held was granted", async () => {
      const payer = await addPayer(store);
      const budget = await addBudget(store, payer, "month", HOLD * 2n);
      const item = itemOf(payer);
      const result = await one(item);
      await store.db.updateTable("budget").set({ amount: 1n }).where("id", "=", budget).execute();
      await settleItems(store, [capped(endOf(item, result, { usage: used }))]);
      expect((await periodsOf(store, budget))[0]!.spent).toBeGreaterThan(HOLD - TOKEN);
      expect((await periodsOf(store, budget))[0]!.spent).toBeLessThanOrEqual(HOLD);
    });

    it("counts exactly as many tokens as the money pays for, at any price", async () => {
      const price = fc.constantFrom(0, 1, 499, 500, 1_000, 300_000, 15_000_000, 1_000_000_000);
      const tokens = fc.oneof(fc.nat(3), fc.nat(200_000), fc.constant(2_147_483_647));
      const samples = fc.sample(
        fc.record({
          prices: fc.tuple(price, price, price, price),
          counts: fc.tuple(tokens, tokens, tokens, tokens),
          nano: fc.oneof(fc.nat(5), fc.nat(2_000_000_000)),
        }),
        500,
      );
      type Paid = { uncached: number; read: number; write: number; output: number };
      const { rows } = await sql<Paid>`
        SELECT y.* FROM json_to_recordset(${JSON.stringify(
          samples.map(({ prices: [a, b, c, d], counts: [e, f, g, h], nano }) => ({ a, b, c, d, e, f, g, h, nano })),
        )}) AS x (a bigint, b bigint, c bigint, d bigint, e integer, f integer, g integer, h integer, nano bigint),
        LATERAL ledger_payable(ROW (1, 'm', now(), x.a, x.b, x.c, x.d, now(), 't')::price_version, x.nano * 1000::numeric + 499,
          x.e, x.f, x.g, x.h) AS y`.execute(store.db);
      for (const [index, { prices, counts, nano }] of samples.entries()) {
        const paid = rows[index]!;
        const [inputUncached, cacheRead, cacheWrite, output] = prices.map(BigInt) as [bigint, bigint, bigint, bigint];
        const priced = { inputUncached, cacheRead, cacheWrite, output };
        const costs = (given: Paid) =>
          costOf(
            priced,
            usage({
              inputUncached: given.uncached,
              cacheRead: given.read,
              cacheWrite: given.write,
              output: given.output,
            }),
          );
        expect(costs(paid)).toBeLessThanOrEqual(BigInt(nano));
        // In the order in which they are paid: of the first class that is not whole, not one more fits.
        const order = [
          ["read", counts[1]],
          ["uncached", counts[0]],
          ["write", counts[2]],
          ["output", counts[3]],
        ] as const;
        const cut = order.find(([name, count]) => paid[name] < count);
        for (const [name, count] of order) expect(paid[name]).toBeLessThanOrEqual(count);
        if (cut === undefined) continue;
        const before = order.slice(0, order.indexOf(cut) + 1).map(([name]) => [name, paid[name]]);
        const more = { uncached: 0, read: 0, write: 0, output: 0, ...Object.fromEntries(before) } as Paid;
        more[cut[0]]++;
        expect(costs(more)).toBeGreaterThan(BigInt(nano));
      }
    });
  });

  describe("sweeping", () => {
    it("settles at the last checkpoint, and a later truth is an adjustment", async () => {
      const payer = await addPayer(store);
      const budget = await addBudget(store, payer, "month", 10n * USD);
      const item = itemOf(payer);
      const result = (await reserveHolds(store, { owner: "dead", leaseMs: LEASE }, [item]))[0]!;
      await checkpointHolds(store, LEASE, [countOf(item, 1, 400)]);
      await sweepHolds(store, []);
      expect(await eventOf(store, item.request_id)).toBeUndefined();
      expect(await sweepHolds(store, ["dead"])).toBe(1);
      const recovered = costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, output: 400 }));
      expect(await eventOf(store, item.request_id)).toMatchObject({
        outcome: "recovered",
        counted_by: "checkpoint",
        cost: recovered,
        output: 400,
        session: "s-1",
        wire: "test",
        requested_model: "claude",
        streamed: true,
      });
      expect(await accountOf(store, payer)).toMatchObject({ balance: -recovered, held: 0n });
      await expectSound(store);

      const used = usage({ inputUncached: 900, cacheRead: 100, output: 450, reasoning: 7 });
      expect(await settleItems(store, [endOf(item, result, { usage: used })])).toEqual(
        new Map([[item.request_id, "adjusted"]]),
      );
      const cost = costOf(PRICES, used);
      expect(await eventOf(store, item.request_id)).toMatchObject({
        outcome: "ok",
        counted_by: "engine",
        cost,
        output: 450,
        reasoning: 7,
      });
      expect((await eventOf(store, item.request_id))!.adjusted_at).toBeInstanceOf(Date);
      expect(await accountOf(store, payer)).toMatchObject({ balance: -cost, held: 0n });
      expect(await periodsOf(store, budget)).toMatchObject([{ spent: cost, held: 0n }]);
      const entries = await store.db
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
      expect(await settleItems(store, [endOf(item, result, { usage: usage({ output: 1 }) })])).toEqual(new Map());
    });

    it("gives back what was recovered of a request that turns out to cost nothing", async () => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      const result = (await reserveHolds(store, { owner: "dead", leaseMs: LEASE }, [item]))[0]!;
      await checkpointHolds(store, LEASE, [countOf(item, 1, 400)]);
      await sweepHolds(store, ["dead"]);
      expect((await accountOf(store, payer)).balance).toBeLessThan(0n);
      await settleItems(store, [endOf(item, result, { outcome: "error" }, false)]);
      expect(await accountOf(store, payer)).toMatchObject({ balance: 0n, held: 0n });
    });

    it("sweeps more than one batch, from two sides at once, each hold once", async () => {
      const payer = await addPayer(store);
      const items = Array.from({ length: 1_200 }, () => itemOf(payer));
      for (let at = 0; at < items.length; at += 200)
        await reserveHolds(store, { owner: "dead", leaseMs: LEASE }, items.slice(at, at + 200));
      const swept = await Promise.all([sweepHolds(store, ["dead"]), sweepHolds(store, ["dead"])]);
      expect(swept[0] + swept[1]).toBe(1_200);
      expect(await accountOf(store, payer)).toMatchObject({ balance: 0n, held: 0n });
    });
  });

  describe("time", () => {
    /** Moves a hold into the past, as if it had been reserved then; budgets must not exist yet. */
    const reservedAt = async (item: ReserveItem, at: Date): Promise<void> => {
      await store.db.updateTable("hold").set({ reserved_at: at }).where("request_id", "=", item.request_id).execute();
    };
    const budgetFromTheStart = async (
      payer: Payer,
      period: "day" | "week" | "month",
      since: string,
    ): Promise<bigint> => {
      const { rows } = await sql<{ id: bigint }>`
        WITH b AS (INSERT INTO budget (tenant_id, period, amount, since) VALUES (${payer.tenantId}, ${period}, ${10n * USD}, ${since}) RETURNING id),
        p AS (INSERT INTO budget_period (budget_id, start, held)
          SELECT b.id, period_start(${period}, utc_day(h.reserved_at)), sum(h.amount) FROM b, hold h WHERE h.tenant_id = ${payer.tenantId} GROUP BY 1, 2)
        SELECT id FROM b`.execute(store.db);
      return rows[0]!.id;
    };

    it.each([
      ["day", "2026-02-28T23:59:59.999Z", "2026-02-28"],
      ["week", "2026-11-22T23:59:59.999Z", "2026-11-16"],
      ["week", "2026-01-01T00:00:00.000Z", "2025-12-29"],
      ["month", "2024-02-29T23:59:59.999Z", "2024-02-01"],
    ] as const)("charges the %s of the reservation at %s, whenever it ends", async (period, at, start) => {
      const payer = await addPayer(store);
      const item = itemOf(payer);
      const result = await one(item);
      await reservedAt(item, new Date(at));
      const budget = await budgetFromTheStart(payer, period, "2020-01-06");
      // It grows beyond its hold after the period's end: that is held, and then charged, in the old one all the same.
      const grown = costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, output: 3_000 }));
      expect(await checkpointHolds(store, LEASE, [countOf(item, 1, 3_000)])).toEqual(
        new Map([[item.request_id, { amount: grown, refused: null }]]),
      );
      expect(await periodsOf(store, budget)).toEqual([{ start, spent: 0n, held: grown }]);
      const used = usage({ inputUncached: 1_000, output: 4_000 });
      const end = endOf(item, { ...result, reservedAt: new Date(at) }, { usage: used });
      await settleItems(store, [{ ...end, capped: true }]);
      expect(await periodsOf(store, budget)).toEqual([{ start, spent: costOf(PRICES, used), held: 0n }]);
    });

    it("finds the day, week and month of any moment, as a calendar in UTC does", async () => {
      const moments = fc.sample(
        fc.oneof(
          fc.date({ min: new Date("2000-01-01"), max: new Date("2100-01-01"), noInvalidDate: true }),
          // Around midnight on the last day of a month.
          fc
            .record({ month: fc.nat(1_200), ms: fc.integer({ min: -3, max: 3 }) })
            .map(({ month, ms }) => new Date(Date.UTC(2000, month, 1) + ms)),
        ),
        400,
      );
      const { rows } = await sql<{ day: string; week: string; month: string; ends: string[] }>`
        SELECT utc_day(at)::text AS day, period_start('week', utc_day(at))::text AS week, period_start('month', utc_day(at))::text AS month,
          ARRAY (SELECT to_json(period_end(p, period_start(p, utc_day(at))) AT TIME ZONE 'UTC') #>> '{}'
            FROM unnest(ARRAY['day', 'week', 'month']) WITH ORDINALITY AS u (p, n) ORDER BY n) AS ends
        FROM json_array_elements_text(${JSON.stringify(moments)}) WITH ORDINALITY AS m (text, n), LATERAL (SELECT text::timestamptz AS at) t
        ORDER BY n`.execute(store.db);
      const DAY = 86_400_000;
      for (const [index, at] of moments.entries()) {
        const day = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate());
        const week = day - ((at.getUTCDay() + 6) % 7) * DAY;
        const month = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1);
        const iso = (ms: number) => new Date(ms).toISOString().slice(0, 10);
        const nextMonth = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 1);
        expect(rows[index]).toEqual({
          day: iso(day),
          week: iso(week),
          month: iso(month),
          ends: [day + DAY, week + 7 * DAY, nextMonth].map((ms) => `${iso(ms)}T00:00:00`),
        });
      }
    });

    it("begins weeks on Monday, and ends periods at midnight UTC whatever the session's time zone", async () => {
      await store.db.transaction().execute(async (trx) => {
        await sql`SET LOCAL TIME ZONE 'America/New_York'`.execute(trx);
        const { rows } = await sql<{ week: string; end: Date; dst: Date; month: Date }>`
          SELECT period_start('week', utc_day('2026-11-22T23:59:59.999Z'))::text AS week, period_end('week', '2026-11-16') AS end,
            period_end('day', '2026-03-08') AS dst, period_end('month', '2026-03-01') AS month`.execute(trx);
        expect(rows[0]).toEqual({
          week: "2026-11-16",
          end: new Date("2026-11-23T00:00:00Z"),
          dst: new Date("2026-03-09T00:00:00Z"),
          month: new Date("2026-04-01T00:00:00Z"),
        });
      });
    });

    it("keeps the price of the reservation when the price changes during the answer", async () => {
      const payer = await addPayer(store);
      await addPrice(store, "changing");
      const item = itemOf(payer, { model: "changing" });
      const before = await one(item);
      const dearer = { ...PRICES, output: PRICES.output * 2n };
      await addPrice(store, "changing", dearer);
      const later = itemOf(payer, { model: "changing" });
      const after = await one(later);
      expect([before.price!.output, after.price!.output]).toEqual([PRICES.output, dearer.output]);
      // The larger hold and the recovered cost go by the old price, too.
      const counted = await checkpointHolds(store, LEASE, [countOf(item, 1, 3_000)]);
      const used = usage({ inputUncached: 900, cacheRead: 100, output: 3_000 });
      expect(counted.get(item.request_id)!.amount).toBe(costOf(PRICES, used));
      await settleItems(store, [endOf(item, before, { usage: used }), endOf(later, after, { usage: used })]);
      expect((await eventOf(store, item.request_id))!.cost).toBe(costOf(PRICES, used));
      expect((await eventOf(store, later.request_id))!.cost).toBe(costOf(dearer, used));
    });

    it("does not yet ask a price that is to come", async () => {
      const payer = await addPayer(store);
      await addPrice(store, "future", PRICES, new Date(Date.now() + 3_600_000));
      expect(await one(itemOf(payer, { model: "future" }))).toMatchObject({ price: null, amount: 0n });
    });

    it("goes by the database's clock when a gateway's is off by five minutes", async () => {
      const payer = await addPayer(store);
      const before = Date.now();
      for (const skew of [-300_000, 300_000]) {
        const startedAt = new Date(Date.now() + skew);
        const item = itemOf(payer);
        const result = await one(item);
        await settleItems(store, [endOf(item, result, { startedAt })]);
        const event = (await eventOf(store, item.request_id))!;
        expect(event.started_at).toEqual(startedAt);
        expect(Math.abs(event.reserved_at.getTime() - before)).toBeLessThan(60_000);
      }
    });
  });

  describe("the database itself", () => {
    const settled = async (payer: Payer, outcome: "ok" | "recovered" = "ok"): Promise<string> => {
      const item = itemOf(payer);
      await settleItems(store, [endOf(item, await one(item), { outcome })]);
      return item.request_id;
    };

    it.each([
      "UPDATE ledger_transfer SET amount = amount + 1",
      "DELETE FROM ledger_transfer",
      "TRUNCATE ledger_transfer",
      "UPDATE usage_event SET cost = 0",
      "DELETE FROM usage_event",
      "TRUNCATE usage_event",
      "UPDATE price_version SET output = 0",
      "DELETE FROM price_version",
      "TRUNCATE price_version",
    ])("refuses %s", async (statement) => {
      await settled(await addPayer(store));
      await expect(sql.raw(statement).execute(store.db)).rejects.toMatchObject({ code: "23001" });
    });

    it("takes from one account what it gives to another, once a transaction", async () => {
      const { id } = await accountOf(store, await addPayer(store));
      const insert = (values: string) =>
        sql
          .raw(`INSERT INTO ledger_transfer (transaction_id, kind, from_account, to_account, amount) VALUES ${values}`)
          .execute(store.db);
      for (const values of [
        `('x', 'credit', 2, ${id}, 0)`,
        `('x', 'credit', 2, ${id}, -5)`,
        `('x', 'credit', ${id}, ${id}, 5)`,
        `('x', 'gift', 2, ${id}, 5)`,
        `('', 'credit', 2, ${id}, 5)`,
      ])
        await expect(insert(values)).rejects.toMatchObject({ code: "23514" });
      // By transaction and kind there is one.
      await expect(insert(`('x', 'credit', 2, ${id}, 5), ('x', 'credit', 2, ${id}, 5)`)).rejects.toMatchObject({
        code: "23505",
      });
    });

    it("refuses what no usage row may say", async () => {
      const id = await settled(await addPayer(store), "recovered");
      for (const what of [
        "output = -1",
        "cache_read = -1",
        "unbilled_output = -1",
        "first_token_ms = -1",
        "duration_ms = -1",
        "reasoning = output + 1",
        "counted_by = 'guess'",
        "outcome = 'fine'",
        "cost = -1",
        "repeat_of = request_id",
      ])
        await expect(
          sql.raw(`UPDATE usage_event SET adjusted_at = now(), ${what} WHERE request_id = '${id}'`).execute(store.db),
        ).rejects.toMatchObject({ code: "23514" });
    });

    it("reads items as they were written, whatever their texts hold", async () => {
      const text = fc.string({ unit: "grapheme" }).map(storableText);
      const columns = { tenant_id: text, key_id: text, model: text, input: fc.nat(), session: fc.option(text) };
      const item = fc.record({ request_id: text, ...columns, streamed: fc.boolean() });
      const names = ["request_id", "tenant_id", "key_id", "model", "input", "session", "streamed"] as const;
      await fc.assert(
        fc.asyncProperty(fc.array(item, { maxLength: 5 }), async (items) => {
          const { rows } = await sql<Record<string, unknown>>`
            SELECT ${sql.join(names.map((name) => sql.ref(name)))} FROM unnest(${compositeArray(RESERVE_COLUMNS, items)}::reserve_item[])`.execute(
            store.db,
          );
          expect(rows).toEqual(items.map((one) => ({ ...one })));
        }),
        { numRuns: 200, examples: [[[{ ...NASTY, request_id: "" }]], [[NASTY, NASTY]]] },
      );
    });

    it("has the items' columns in the order in which the gateway writes them", async () => {
      for (const [type, columns] of [
        ["reserve_item", RESERVE_COLUMNS],
        ["checkpoint_item", CHECKPOINT_COLUMNS],
        ["settle_item", SETTLE_COLUMNS],
      ] as const) {
        const { rows } = await sql<{ attname: string }>`
          SELECT attname FROM pg_attribute WHERE attrelid = ${type}::regclass AND attnum > 0 ORDER BY attnum`.execute(
          store.db,
        );
        expect(rows.map(({ attname }) => attname)).toEqual(columns);
      }
    });

    it("rewrites what was recovered once, and nothing of who and when", async () => {
      const id = await settled(await addPayer(store), "recovered");
      const change = (what: string) =>
        sql.raw(`UPDATE usage_event SET ${what} WHERE request_id = '${id}'`).execute(store.db);
      for (const what of [
        "output = 1",
        "adjusted_at = now(), tenant_id = 'x'",
        "adjusted_at = now(), price_id = NULL, cost = 0",
        "adjusted_at = now(), reserved_at = now()",
      ])
        await expect(change(what)).rejects.toMatchObject({ code: "23001" });
    });
  });

  describe("roll-ups", () => {
    it("are rebuilt from the usage rows, whatever has become of them", async () => {
      const payer = await addPayer(store);
      for (let n = 0; n < 3; n++) {
        const item = itemOf(payer, { model: n === 0 ? "priced" : "unpriced" });
        await settleItems(store, [endOf(item, await one(item), { model: item.model })]);
      }
      expect(await rebuildRollups(store)).toMatchObject({ corrected: 0 });
      await sql`UPDATE usage_hour SET cost = cost + 1 WHERE tenant_id = ${payer.tenantId} AND model = 'priced'`.execute(
        store.db,
      );
      await sql`DELETE FROM usage_hour WHERE tenant_id = ${payer.tenantId} AND model = 'unpriced'`.execute(store.db);
      await sql`INSERT INTO usage_hour SELECT hour - interval '5 hours', tenant_id, key_id, 'never', 1, 0, 0, 0, 0, 0, 0, 0
        FROM usage_hour WHERE tenant_id = ${payer.tenantId}`.execute(store.db);
      await expect(expectSound(store)).rejects.toThrow("roll-ups");
      expect(await rebuildRollups(store)).toMatchObject({ corrected: 3 });
      const days = await store.db
        .selectFrom("usage_day")
        .select(["model", "requests", "output"])
        .where("tenant_id", "=", payer.tenantId)
        .orderBy("model")
        .execute();
      expect(days).toEqual([
        { model: "priced", requests: 1n, output: 40n },
        { model: "unpriced", requests: 2n, output: 80n },
      ]);
    });
  });
});
