/** Rules that hold for all statements that move money, on both stores: days and prices, what the database refuses by itself, and roll-ups. */
import * as fc from "fast-check";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { compositeArray } from "../../src/db/composite-array.ts";
import { CHECKPOINT_COLUMNS, RESERVE_COLUMNS, SETTLE_COLUMNS } from "../../src/ledger/item-columns.ts";
import { costOf } from "../../src/ledger/money.ts";
import { rebuildRollups } from "../../src/ledger/rollups.ts";
import { type ReserveItem, checkpointHolds, reserveHolds, settleItems } from "../../src/ledger/statements.ts";
import { storableText } from "../../src/ledger/storable-text.ts";
import { LEASE, OWNER, countOf, endOf, itemOf, onEachStore } from "../support/money-items.ts";
import {
  type Payer,
  PRICES,
  USD,
  accountOf,
  addPayer,
  addPrice,
  eventOf,
  expectSound,
  periodsOf,
  usage,
} from "../support/money.ts";
import { waitUntil } from "../support/wait-until.ts";

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

onEachStore((money) => {
  const { one } = money;

  describe("time", () => {
    /** Moves a hold into the past, as if it had been reserved then; budgets must not exist yet. */
    const reservedAt = async (item: ReserveItem, at: Date): Promise<void> => {
      await money.store.db
        .updateTable("hold")
        .set({ reserved_at: at })
        .where("request_id", "=", item.request_id)
        .execute();
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
        SELECT id FROM b`.execute(money.store.db);
      return rows[0]!.id;
    };

    it.each([
      ["day", "2026-02-28T23:59:59.999Z", "2026-02-28"],
      ["week", "2026-11-22T23:59:59.999Z", "2026-11-16"],
      ["week", "2026-01-01T00:00:00.000Z", "2025-12-29"],
      ["month", "2024-02-29T23:59:59.999Z", "2024-02-01"],
    ] as const)("charges the %s of the reservation at %s, whenever it ends", async (period, at, start) => {
      const payer = await addPayer(money.store);
      const item = itemOf(payer);
      const result = await one(item);
      await reservedAt(item, new Date(at));
      const budget = await budgetFromTheStart(payer, period, "2020-01-06");
      // It grows beyond its hold after the period's end: that is held, and then charged, in the old one all the same.
      const grown = costOf(PRICES, usage({ inputUncached: 900, cacheRead: 100, output: 3_000 }));
      expect(await checkpointHolds(money.store, LEASE, [countOf(item, 1, 3_000)])).toEqual(
        new Map([[item.request_id, { amount: grown, refused: null }]]),
      );
      expect(await periodsOf(money.store, budget)).toEqual([{ start, spent: 0n, held: grown }]);
      const used = usage({ inputUncached: 1_000, output: 4_000 });
      const end = endOf(item, { ...result, reservedAt: new Date(at) }, { usage: used });
      await settleItems(money.store, [{ ...end, capped: true }]);
      expect(await periodsOf(money.store, budget)).toEqual([{ start, spent: costOf(PRICES, used), held: 0n }]);
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
        ORDER BY n`.execute(money.store.db);
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
      await money.store.db.transaction().execute(async (trx) => {
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
      const payer = await addPayer(money.store);
      await addPrice(money.store, "changing");
      const item = itemOf(payer, { model: "changing" });
      const before = await one(item);
      const dearer = { ...PRICES, output: PRICES.output * 2n };
      await addPrice(money.store, "changing", dearer);
      const later = itemOf(payer, { model: "changing" });
      const after = await one(later);
      expect([before.price!.output, after.price!.output]).toEqual([PRICES.output, dearer.output]);
      // The larger hold and the recovered cost go by the old price, too.
      const counted = await checkpointHolds(money.store, LEASE, [countOf(item, 1, 3_000)]);
      const used = usage({ inputUncached: 900, cacheRead: 100, output: 3_000 });
      expect(counted.get(item.request_id)!.amount).toBe(costOf(PRICES, used));
      await settleItems(money.store, [endOf(item, before, { usage: used }), endOf(later, after, { usage: used })]);
      expect((await eventOf(money.store, item.request_id))!.cost).toBe(costOf(PRICES, used));
      expect((await eventOf(money.store, later.request_id))!.cost).toBe(costOf(dearer, used));
    });

    it("does not yet ask a price that is to come", async () => {
      const payer = await addPayer(money.store);
      await addPrice(money.store, "future", PRICES, new Date(Date.now() + 3_600_000));
      expect(await one(itemOf(payer, { model: "future" }))).toMatchObject({ price: null, amount: 0n });
    });

    it("goes by the database's clock when a gateway's is off by five minutes", async () => {
      const payer = await addPayer(money.store);
      const before = Date.now();
      for (const skew of [-300_000, 300_000]) {
        const startedAt = new Date(Date.now() + skew);
        const item = itemOf(payer);
        const result = await one(item);
        await settleItems(money.store, [endOf(item, result, { startedAt })]);
        const event = (await eventOf(money.store, item.request_id))!;
        expect(event.started_at).toEqual(startedAt);
        expect(Math.abs(event.reserved_at.getTime() - before)).toBeLessThan(60_000);
      }
    });
  });

  describe("the database itself", () => {
    const settled = async (payer: Payer, outcome: "ok" | "recovered" = "ok"): Promise<string> => {
      const item = itemOf(payer);
      await settleItems(money.store, [endOf(item, await one(item), { outcome })]);
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
      await settled(await addPayer(money.store));
      await expect(sql.raw(statement).execute(money.store.db)).rejects.toMatchObject({ code: "23001" });
    });

    it("takes from one account what it gives to another, once a transaction", async () => {
      const { id } = await accountOf(money.store, await addPayer(money.store));
      const insert = (values: string) =>
        sql
          .raw(`INSERT INTO ledger_transfer (transaction_id, kind, from_account, to_account, amount) VALUES ${values}`)
          .execute(money.store.db);
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
      const id = await settled(await addPayer(money.store), "recovered");
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
          sql
            .raw(`UPDATE usage_event SET adjusted_at = now(), ${what} WHERE request_id = '${id}'`)
            .execute(money.store.db),
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
            money.store.db,
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
          money.store.db,
        );
        expect(rows.map(({ attname }) => attname)).toEqual(columns);
      }
    });

    it("rewrites what was recovered once, and nothing of who and when", async () => {
      const id = await settled(await addPayer(money.store), "recovered");
      const change = (what: string) =>
        sql.raw(`UPDATE usage_event SET ${what} WHERE request_id = '${id}'`).execute(money.store.db);
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
      const payer = await addPayer(money.store);
      for (let n = 0; n < 3; n++) {
        const item = itemOf(payer, { model: n === 0 ? "priced" : "unpriced" });
        await settleItems(money.store, [endOf(item, await one(item), { model: item.model })]);
      }
      expect(await rebuildRollups(money.store)).toMatchObject({ corrected: 0 });
      await sql`UPDATE usage_hour SET cost = cost + 1 WHERE tenant_id = ${payer.tenantId} AND model = 'priced'`.execute(
        money.store.db,
      );
      await sql`DELETE FROM usage_hour WHERE tenant_id = ${payer.tenantId} AND model = 'unpriced'`.execute(
        money.store.db,
      );
      await sql`INSERT INTO usage_hour SELECT hour - interval '5 hours', tenant_id, key_id, 'never', 1, 0, 0, 0, 0, 0, 0, 0
        FROM usage_hour WHERE tenant_id = ${payer.tenantId}`.execute(money.store.db);
      await expect(expectSound(money.store)).rejects.toThrow("roll-ups");
      expect(await rebuildRollups(money.store)).toMatchObject({ corrected: 3 });
      const days = await money.store.db
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

    it("are right whatever is settled and adjusted while they are rebuilt", async () => {
      const payers = await Promise.all(Array.from({ length: 4 }, () => addPayer(money.store)));
      let rebuilding = true;
      const spoil = [
        sql`UPDATE usage_hour SET cost = cost + 1, requests = requests - 1, output = output * 2`,
        sql`DELETE FROM usage_hour`,
        sql`INSERT INTO usage_hour SELECT hour, tenant_id, key_id, 'never', 1, 0, 0, 0, 0, 0, 0, 0 FROM usage_hour WHERE model <> 'never'
          ON CONFLICT DO NOTHING`,
      ];
      const rebuilt = (async () => {
        for (let round = 0; round < 12; round++) {
          await spoil[round % spoil.length]!.execute(money.store.db);
          // Two at a time: each error is to be corrected once.
          await Promise.all([rebuildRollups(money.store), rebuildRollups(money.store)]);
        }
        rebuilding = false;
      })();
      const settling = payers.map(async (payer) => {
        while (rebuilding) {
          const items = [itemOf(payer), itemOf(payer), itemOf(payer, { model: "unpriced" })];
          const held = await reserveHolds(money.store, OWNER, items);
          const ends = items.map((item, n) => endOf(item, held[n]!, { model: item.model }));
          const recovered = ends
            .slice(1)
            .map((end) => ({ ...end, outcome: "recovered" as const, output: 3, reasoning: 0 }));
          await settleItems(money.store, recovered);
          await settleItems(money.store, ends);
        }
      });
      await Promise.all([rebuilt, ...settling]);
      await expectSound(money.store);
      expect(await rebuildRollups(money.store)).toMatchObject({ corrected: 0 });
    });

    // PGlite has one connection: nobody waits for another there.
    const waitedFor = money.kind === "postgres" ? ["one that is rebuilt"] : [];
    it.each(waitedFor)("let others settle while %s has to be waited for", async () => {
      const [waited, other] = [await addPayer(money.store), await addPayer(money.store)];
      const settle = async (payer: Payer): Promise<void> => {
        const item = itemOf(payer);
        await settleItems(money.store, [endOf(item, await one(item))]);
      };
      await settle(waited);
      await settle(other);
      await sql`UPDATE usage_hour SET cost = cost + 1 WHERE tenant_id = ${waited.tenantId}`.execute(money.store.db);
      let rebuilt: Promise<unknown> | undefined;
      await money.store.db.transaction().execute(async (trx) => {
        await sql`SELECT FROM usage_hour WHERE tenant_id = ${waited.tenantId} FOR UPDATE`.execute(trx);
        rebuilt = rebuildRollups(money.store);
        await waitUntil("the rebuild to wait", async () => {
          const { rows } = await sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`.execute(
            money.store.patient,
          );
          return rows.length > 0;
        });
        await settle(other);
      });
      expect(await rebuilt).toMatchObject({ corrected: 1 });
    });
  });
});
