/** What settling charges, on both stores: each request once, never more than its limits pay for. */
import * as fc from "fast-check";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { costOf } from "../../src/ledger/money.ts";
import { replayJournal } from "../../src/ledger/journal/replay.ts";
import { type SettleItem, releaseItem, settleItem } from "../../src/ledger/settle-item.ts";
import { checkpointHolds, reserveHolds, settleItems, sweepHolds } from "../../src/ledger/statements.ts";
import type { UsageRow } from "../../src/ledger/usage-row.ts";
import { HOLD, LEASE, OWNER, countOf, endOf, itemOf, onEachStore } from "../support/money-items.ts";
import {
  type Payer,
  PRICES,
  USD,
  accountOf,
  addBudget,
  addPayer,
  addPrice,
  eventOf,
  periodsOf,
  rowOf,
  usage,
} from "../support/money.ts";

onEachStore((money) => {
  const { one } = money;

  describe("settling", () => {
    it("twice, or a thousand times, charges once", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const result = await one(item);
      const end = endOf(item, result);
      await Promise.all(Array.from({ length: 10 }, () => settleItems(money.store, [end, end])));
      const cost = costOf(PRICES, rowOf(payer).usage);
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: -cost, held: 0n });
      // Another count of the same request is not another truth.
      expect(await settleItems(money.store, [endOf(item, result, { usage: usage({ output: 9_999 }) })])).toEqual(
        new Map(),
      );
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: -cost });
    });

    it("takes the truth, where it comes together with what was recovered", async () => {
      for (const truthFirst of [true, false]) {
        const payer = await addPayer(money.store);
        const item = itemOf(payer);
        const result = await one(item);
        const truth = endOf(item, result, { usage: usage({ output: 500 }) });
        const recovered = endOf(item, result, { usage: usage({ output: 200 }), outcome: "recovered" });
        await settleItems(money.store, truthFirst ? [truth, recovered] : [recovered, truth]);
        expect(await eventOf(money.store, item.request_id)).toMatchObject({
          outcome: "ok",
          output: 500,
          adjusted_at: null,
        });
        expect(await accountOf(money.store, payer)).toMatchObject({
          balance: -costOf(PRICES, usage({ output: 500 })),
          held: 0n,
        });
      }
    });

    it("takes the truth also of what was recovered twice, as from a journal that is read again", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const result = await one(item);
      const recovered = (output: number) => endOf(item, result, { usage: usage({ output }), outcome: "recovered" });
      await settleItems(money.store, [recovered(200)]);
      expect(await settleItems(money.store, [recovered(100)])).toEqual(new Map());
      expect(await eventOf(money.store, item.request_id)).toMatchObject({ output: 200, adjusted_at: null });
      await settleItems(money.store, [endOf(item, result, { usage: usage({ output: 500 }) })]);
      expect(await eventOf(money.store, item.request_id)).toMatchObject({ outcome: "ok", output: 500 });
    });

    it("works without a hold, in the period of its reservation", async () => {
      const payer = await addPayer(money.store);
      const budget = await addBudget(money.store, { tenantId: payer.tenantId }, "day", 10n * USD);
      const item = itemOf(payer);
      const begun = await one(itemOf(payer));
      const end = endOf(item, begun, { usage: usage({ output: 1_000 }) });
      await settleItems(money.store, [end]);
      expect(await eventOf(money.store, item.request_id)).toMatchObject({ held: null, cost: 15_000_000n });
      expect(await periodsOf(money.store, budget)).toMatchObject([{ spent: 15_000_000n, held: HOLD }]);
    });

    it("adjusts what was recovered without a hold and cost nothing, also as the first of its budgets' periods", async () => {
      const payer = await addPayer(money.store);
      const budget = await addBudget(money.store, { tenantId: payer.tenantId }, "day", 10n * USD);
      const item = itemOf(payer);
      const begun = await one(itemOf(await addPayer(money.store)));
      const { id: accountId } = await accountOf(money.store, payer);
      const terms = { ...begun, accountId: Number(accountId) };
      await settleItems(money.store, [endOf(item, terms, { usage: usage({}), outcome: "recovered" })]);
      const truth = endOf(item, terms, { usage: usage({ output: 1_000 }) });
      expect(await settleItems(money.store, [truth])).toEqual(new Map([[item.request_id, "adjusted"]]));
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: -15_000_000n });
      expect(await periodsOf(money.store, budget)).toMatchObject([{ spent: 15_000_000n, held: 0n }]);
    });

    it("voids before the first byte: nothing is charged, whatever was counted", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", balance: USD, floor: 0n });
      const [failed, gone] = [itemOf(payer), itemOf(payer)];
      const [result] = await reserveHolds(money.store, OWNER, [failed, gone]);
      await settleItems(money.store, [
        endOf(failed, result!, { outcome: "error", errorCode: "engine_unreachable" }, false),
        releaseItem(gone.request_id, result!.accountId),
      ]);
      expect(await eventOf(money.store, failed.request_id)).toMatchObject({ cost: 0n, outcome: "error", output: 40 });
      expect(await eventOf(money.store, gone.request_id)).toBeUndefined();
      expect(await accountOf(money.store, payer)).toMatchObject({ balance: USD, held: 0n });
    });

    it("takes a row that the database refuses as a fault of that row", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const end = { ...endOf(item, await one(item)), reasoning: 41 };
      await expect(settleItems(money.store, [end])).rejects.toMatchObject({ code: "23514" });
      expect(await accountOf(money.store, payer)).toMatchObject({ held: HOLD, balance: 0n });
      await settleItems(money.store, [releaseItem(item.request_id, null)]);
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
      const payer = await addPayer(money.store, { terms: "prepaid", floor: 0n });
      const items = [freeOf(payer), freeOf(payer, { outcome: "client_gone" }), freeOf(payer)];
      const ids = items.map((item) => item.request_id);
      expect([...(await settleItems(money.store, [...items, items[0]!])).keys()].sort()).toEqual(ids.sort());
      expect(await settleItems(money.store, items)).toEqual(new Map());
      expect(await eventOf(money.store, ids[0]!)).toMatchObject({
        output: 40,
        cost: 0n,
        held: null,
        price_id: null,
        account_id: null,
        unbilled_output: 0,
        reserved_at: new Date("2026-11-22T10:59:59.999Z"),
      });
      const hours = await money.store.db
        .selectFrom("usage_hour")
        .select(["hour", "requests", "not_ok", "output", "cost"])
        .where("tenant_id", "=", payer.tenantId)
        .execute();
      expect(hours).toEqual([
        { hour: new Date("2026-11-22T10:00:00Z"), requests: 3n, not_ok: 1n, output: 120n, cost: 0n },
      ]);
    });

    it("is told the truth of when it had been recovered, and not when it had ended", async () => {
      const payer = await addPayer(money.store);
      const [recovered, ended] = [freeOf(payer, { outcome: "recovered", usage: usage({ output: 3 }) }), freeOf(payer)];
      await settleItems(money.store, [recovered, ended]);
      const truth = { ...recovered, outcome: "ok" as const, output: 9, reasoning: 0 };
      const third = freeOf(payer);
      expect(await settleItems(money.store, [truth, { ...ended, output: 1, reasoning: 0 }, third])).toEqual(
        new Map([
          [recovered.request_id, "adjusted"],
          [third.request_id, "settled"],
        ]),
      );
      expect(await eventOf(money.store, recovered.request_id)).toMatchObject({ outcome: "ok", output: 9, cost: 0n });
      expect(await eventOf(money.store, ended.request_id)).toMatchObject({ output: 40 });
    });

    it("is written beside one that costs something", async () => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const free = freeOf(payer);
      await settleItems(money.store, [free, endOf(item, await one(item))]);
      expect(await eventOf(money.store, free.request_id)).toMatchObject({ cost: 0n, output: 40 });
      expect((await eventOf(money.store, item.request_id))!.cost).toBeGreaterThan(0n);
    });
  });

  describe("a journal that is read again", () => {
    it("settles at the count with the highest number, within its limits, and leaves to the sweep what it has only counts of", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", balance: HOLD, floor: 0n });
      const [opened, elsewhere] = [itemOf(payer), itemOf(await addPayer(money.store))];
      const [held] = await reserveHolds(money.store, { owner: "dead", leaseMs: LEASE }, [opened, elsewhere]);
      const { input: _input, output: _output, ...facts } = opened;
      const at = held!.reservedAt.toISOString();
      const open = { t: "open", ...facts, account_id: held!.accountId, price_id: held!.price!.id, reserved_at: at };
      const count = (id: string, number: number, output: number) => ({
        t: "count",
        at,
        counts: [[id, number, 900, 100, 0, output, 0]],
      });
      const records = [
        open,
        ...[
          [1, 100],
          [3, 5_000],
          [2, 200],
        ].map(([n, output]) => count(opened.request_id, n!, output!)),
        count(elsewhere.request_id, 1, 50),
      ];
      const texts = records.map((record) => JSON.stringify(record));
      expect(await replayJournal(money.store, texts)).toEqual({ settled: 1, recovered: 1 });
      expect(await replayJournal(money.store, texts)).toEqual({ settled: 0, recovered: 0 });
      const event = (await eventOf(money.store, opened.request_id))!;
      expect(event).toMatchObject({ outcome: "recovered", input_uncached: 900, cache_read: 100 });
      expect(event.output + event.unbilled_output).toBe(5_000);
      expect((await accountOf(money.store, payer)).balance).toBeGreaterThanOrEqual(0n);
      expect(await sweepHolds(money.store, ["dead"])).toBe(1);
      expect(await eventOf(money.store, elsewhere.request_id)).toMatchObject({ outcome: "recovered", output: 50 });
    });
  });

  describe("a request that costs more than was held", () => {
    const TOKEN = PRICES.output / 1000n;
    const capped = (end: SettleItem): SettleItem => ({ ...end, capped: true });
    const used = usage({ inputUncached: 900, cacheRead: 100, output: 5_000 });
    const cost = costOf(PRICES, used);

    it("is charged in full where limits have room, and where there are none", async () => {
      for (const payer of [
        await addPayer(money.store, { terms: "prepaid", balance: cost, floor: 0n }),
        await addPayer(money.store),
      ]) {
        const item = itemOf(payer);
        await settleItems(money.store, [capped(endOf(item, await one(item), { usage: used }))]);
        expect(await eventOf(money.store, item.request_id)).toMatchObject({
          cost,
          held: cost,
          output: 5_000,
          unbilled_prompt: 0,
          unbilled_output: 0,
        });
      }
    });

    it("is charged up to its limit and not a token beyond, and says what was not billed", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", balance: HOLD + 10n * TOKEN + 1n, floor: 0n });
      const item = itemOf(payer);
      await settleItems(money.store, [capped(endOf(item, await one(item), { usage: { ...used, reasoning: 4_900 } }))]);
      const event = (await eventOf(money.store, item.request_id))!;
      expect(event.output + event.unbilled_output).toBe(5_000);
      expect(event).toMatchObject({
        input_uncached: 900,
        cache_read: 100,
        unbilled_prompt: 0,
        reasoning: event.output,
      });
      const { balance, held } = await accountOf(money.store, payer);
      expect(held).toBe(0n);
      expect(balance).toBeGreaterThanOrEqual(0n);
      expect(balance).toBeLessThan(TOKEN);
    });

    it("leaves every budget within its amount, whichever is the tightest", async () => {
      for (const tight of ["tenant", "key"]) {
        const payer = await addPayer(money.store);
        const room = (scope: string) => HOLD + (scope === tight ? 7n : 1_000n) * TOKEN;
        const ofTenant = await addBudget(money.store, { tenantId: payer.tenantId }, "week", room("tenant"));
        const ofKey = await addBudget(money.store, payer, "day", room("key"));
        const item = itemOf(payer);
        await settleItems(money.store, [capped(endOf(item, await one(item), { usage: used }))]);
        for (const budget of [ofTenant, ofKey]) {
          const [period] = await periodsOf(money.store, budget);
          expect(period!.held).toBe(0n);
          expect(period!.spent).toBeLessThanOrEqual(HOLD + 7n * TOKEN);
          expect(period!.spent).toBeGreaterThan(HOLD + 6n * TOKEN);
        }
      }
    });

    it("shares what is left with others that end with it", async () => {
      const payer = await addPayer(money.store, { terms: "postpaid", floor: -(HOLD * 3n + 100n * TOKEN) });
      const items = [itemOf(payer), itemOf(payer), itemOf(payer)];
      const results = await reserveHolds(money.store, OWNER, items);
      const ends = items.map((item, index) => capped(endOf(item, results[index]!, { usage: used })));
      // Sent twice, as after a lost answer.
      await settleItems(money.store, [...ends, ends[0]!]);
      const { balance } = await accountOf(money.store, payer);
      expect(balance).toBeGreaterThanOrEqual(-(HOLD * 3n + 100n * TOKEN));
      expect(balance).toBeLessThan(-(HOLD * 3n + 97n * TOKEN));
    });

    it("does not bill what of a prompt was estimated too low and is not covered", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", balance: HOLD, floor: 0n });
      const item = itemOf(payer);
      const long = usage({ inputUncached: 10_000, cacheRead: 50, output: 30 });
      await settleItems(money.store, [capped(endOf(item, await one(item), { usage: long }))]);
      const event = (await eventOf(money.store, item.request_id))!;
      expect(event).toMatchObject({ cache_read: 50, output: 0, unbilled_output: 30 });
      expect(event.input_uncached + event.unbilled_prompt).toBe(10_000);
      expect(event.input_uncached).toBeGreaterThan(6_000);
      expect((await accountOf(money.store, payer)).balance).toBeGreaterThanOrEqual(0n);
    });

    it("is charged no more when its gateway died and its last count was beyond its hold", async () => {
      const payer = await addPayer(money.store, { terms: "prepaid", balance: HOLD + 3n * TOKEN, floor: 0n });
      const item = itemOf(payer);
      await reserveHolds(money.store, { owner: "dead", leaseMs: LEASE }, [item]);
      expect((await checkpointHolds(money.store, LEASE, [countOf(item, 1, 5_000)])).get(item.request_id)).toMatchObject(
        {
          refused: "account",
        },
      );
      await sweepHolds(money.store, ["dead"]);
      const event = (await eventOf(money.store, item.request_id))!;
      expect(event.output + event.unbilled_output).toBe(5_000);
      expect((await accountOf(money.store, payer)).balance).toBeLessThan(TOKEN);
      expect((await accountOf(money.store, payer)).balance).toBeGreaterThanOrEqual(0n);
    });

    it("is not charged less when a limit was lowered meanwhile: what was held was granted", async () => {
      const payer = await addPayer(money.store);
      const budget = await addBudget(money.store, payer, "month", HOLD * 2n);
      const item = itemOf(payer);
      const result = await one(item);
      await money.store.db.updateTable("budget").set({ amount: 1n }).where("id", "=", budget).execute();
      await settleItems(money.store, [capped(endOf(item, result, { usage: used }))]);
      expect((await periodsOf(money.store, budget))[0]!.spent).toBeGreaterThan(HOLD - TOKEN);
      expect((await periodsOf(money.store, budget))[0]!.spent).toBeLessThanOrEqual(HOLD);
    });

    it("is billed for as much as costs what is held, when that is rounded", async () => {
      await addPrice(money.store, "pennies", { ...PRICES, output: 499n });
      const payer = await addPayer(money.store, { terms: "prepaid", balance: 499n, floor: 0n });
      const item = itemOf(payer, { model: "pennies", input: 0, output: 1_000 });
      await settleItems(money.store, [capped(endOf(item, await one(item), { usage: usage({ output: 1_002 }) }))]);
      // 1,001 tokens are 499.499 nano-USD, which is 499.
      expect(await eventOf(money.store, item.request_id)).toMatchObject({
        output: 1_001,
        unbilled_output: 1,
        cost: 499n,
      });
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
          x.e, x.f, x.g, x.h) AS y`.execute(money.store.db);
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
});
