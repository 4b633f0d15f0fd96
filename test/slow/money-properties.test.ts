/**
 * Whatever order steps come in, from two gateways on one database, and however often each is repeated: the same ledger, exact, with
 * every invariant. `EVENER_MONEY_RUNS` sets how many scenarios are tried.
 */
import * as fc from "fast-check";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Store, openStore } from "../../src/db/open-store.ts";
import { costOf } from "../../src/ledger/money.ts";
import { type SettleItem, releaseItem, settleItem } from "../../src/ledger/settle-item.ts";
import { newRequestId } from "../../src/gateway/request-id.ts";
import {
  type ReserveItem,
  type ReserveResult,
  checkpointHolds,
  reserveHolds,
  settleItems,
  sweepHolds,
} from "../../src/ledger/statements.ts";
import {
  PRICES,
  type Payer,
  addBudget,
  addKey,
  addPayer,
  addPrice,
  expectSound,
  rowOf,
  usage,
} from "../support/money.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const RUNS = Number(process.env["EVENER_MONEY_RUNS"] ?? 60);

type Ending = "settle" | "void" | "release" | "die";
type Plan = {
  payer: number;
  model: string;
  input: number;
  held: number;
  /** Output at each checkpoint. */
  outputs: number[];
  ending: Ending;
  /** Its lease runs out at once, so that a sweep may take it at any time. */
  abandoned: boolean;
};
type Live = Plan & { item: ReserveItem; result?: ReserveResult; step: number; ended: boolean };

const plan: fc.Arbitrary<Plan> = fc.record({
  payer: fc.nat(3),
  model: fc.constantFrom("priced", "priced", "dear", "unpriced"),
  input: fc.nat(2_000),
  held: fc.nat(2_000),
  outputs: fc.array(fc.nat(3_000), { maxLength: 4 }).map((outputs) => outputs.sort((a, b) => a - b)),
  ending: fc.constantFrom("settle", "settle", "settle", "void", "release", "die"),
  abandoned: fc.boolean(),
});

const scenario = fc.record({
  plans: fc.array(plan, { minLength: 1, maxLength: 24 }),
  /** Which request moves on next, and in which gateway; neighbours of one size run at the same time. */
  moves: fc.array(fc.record({ who: fc.nat(23), where: fc.nat(1), together: fc.integer({ min: 1, max: 6 }) }), {
    minLength: 30,
    maxLength: 80,
  }),
  sweepEvery: fc.integer({ min: 3, max: 20 }),
  seed: fc.integer(),
});

/** A repeatable shuffle. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  let state = seed | 1;
  const random = (): number => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return (state >>> 0) / 2 ** 32;
  };
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}

/** All that is money of these payers, in an order of its own. */
async function snapshot(store: Store, tenants: readonly string[]): Promise<string> {
  const { rows } = await sql<{ all: unknown }>`
    SELECT json_build_object(
      'accounts', (SELECT json_agg(json_build_array(tenant_id, balance, held) ORDER BY tenant_id) FROM account WHERE tenant_id = ANY (${tenants})),
      'periods', (SELECT json_agg(json_build_array(b.id, p.start, p.spent, p.held) ORDER BY b.id, p.start) FROM budget b JOIN budget_period p ON p.budget_id = b.id WHERE b.tenant_id = ANY (${tenants})),
      'usage', (SELECT json_agg(to_jsonb(u) - 'recorded_at' ORDER BY request_id) FROM usage_event u WHERE tenant_id = ANY (${tenants})),
      'entries', (SELECT json_agg(json_build_array(e.transaction_id, e.account_id, e.kind, e.amount) ORDER BY 1, 2, 3) FROM ledger_entry e
        WHERE e.transaction_id IN (SELECT request_id FROM usage_event WHERE tenant_id = ANY (${tenants}))),
      'hours', (SELECT json_agg(to_jsonb(h) ORDER BY hour, tenant_id, key_id, model) FROM usage_hour h WHERE tenant_id = ANY (${tenants})),
      'holds', (SELECT json_agg(request_id ORDER BY request_id) FROM hold WHERE tenant_id = ANY (${tenants}))
    ) AS all`.execute(store.db);
  return JSON.stringify(rows[0]!.all);
}

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("any order of steps on $kind", ({ kind, open }) => {
  let test: TestStore;
  let stores: Store[];
  const directories: string[] = [];
  beforeAll(async () => {
    test = await open();
    stores = [test.store, test.store];
    if (kind === "postgres") {
      const dataDir = mkdtempSync(join(tmpdir(), "evener-second-"));
      directories.push(dataDir);
      stores[1] = await openStore({ ...test.options, dataDir });
    }
    await addPrice(test.store, "priced");
    await addPrice(test.store, "dear", { ...PRICES, output: 900_000_001n });
  });
  afterAll(async () => {
    if (stores[1] !== test.store) await stores[1]!.close();
    await test.dispose();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  const run = async ({ plans, moves, sweepEvery, seed }: typeof scenario extends fc.Arbitrary<infer S> ? S : never) => {
    const store = test.store;
    const limited = await addPayer(store, { terms: "prepaid", balance: 400_000_000n, floor: 0n });
    const budgeted = await addPayer(store);
    const other: Payer = { ...budgeted, keyId: `${budgeted.keyId}0` };
    await addKey(store, other);
    await addBudget(store, { tenantId: budgeted.tenantId }, "month", 300_000_000n);
    await addBudget(store, other, "day", 100_000_000n);
    const payers = [await addPayer(store), limited, budgeted, other];
    const tenants = [...new Set(payers.map(({ tenantId }) => tenantId))];
    const owner = `owner-${newRequestId()}`;

    const lives = plans.map((one): Live => {
      const payer = payers[one.payer]!;
      const item = {
        request_id: newRequestId(),
        tenant_id: payer.tenantId,
        key_id: payer.keyId,
        model: one.model,
        input: one.input,
        output: one.held,
        requested_model: "m",
        wire: "w",
        streamed: true,
        session: null,
        agent: null,
        started_at: new Date().toISOString(),
      };
      return { ...one, item, step: 0, ended: false };
    });
    const countOf = (live: Live, index: number) => ({
      request_id: live.item.request_id,
      checkpoint: index + 1,
      input_uncached: live.input,
      cache_read: 0,
      cache_write: 0,
      output: live.outputs[index]!,
      reasoning: 0,
      ahead: index === 0 ? 0 : 50,
    });
    const finalUsage = (live: Live) => usage({ inputUncached: live.input, output: (live.outputs.at(-1) ?? 0) + 7 });
    const endOf = (live: Live): SettleItem => {
      const { result, item, ending } = live;
      if (ending === "release") return releaseItem(item.request_id, result!.accountId);
      const row = rowOf(
        { tenantId: item.tenant_id, keyId: item.key_id },
        { requestId: item.request_id, model: item.model, usage: finalUsage(live) },
      );
      const terms = {
        accountId: result!.accountId,
        priceId: result!.price?.id ?? null,
        reservedAt: result!.reservedAt,
      };
      // As the ledger says it: it cannot know whether what is held covers it.
      return settleItem(row, terms, { billed: ending === "settle", cutBy: null, capped: result!.unspent !== null });
    };

    /** Everything that was done, to be done again. */
    const done: ((where: Store) => Promise<unknown>)[] = [];
    const advance = async (live: Live, where: Store): Promise<void> => {
      const { step } = live;
      if (live.ended) return;
      live.step++;
      if (step === 0) {
        const leaseMs = live.abandoned ? 0 : 3_600_000;
        live.result = (await reserveHolds(where, { owner, leaseMs }, [live.item]))[0]!;
        live.ended = live.result.refused !== null;
      } else if (live.result === undefined) live.step = step;
      else if (step <= live.outputs.length) {
        const items = [countOf(live, step - 1)];
        const repeat = (on: Store) => checkpointHolds(on, 0, items);
        await checkpointHolds(where, live.abandoned ? 0 : 3_600_000, items);
        done.push(repeat);
      } else {
        live.ended = true;
        if (live.ending === "die") return;
        const items = [endOf(live)];
        done.push((on) => settleItems(on, items));
        await settleItems(where, items);
      }
    };

    for (let at = 0; at < moves.length;) {
      const batch = moves.slice(at, at + moves[at]!.together);
      at += batch.length;
      const work = batch.map(({ who, where }) => advance(lives[who % lives.length]!, stores[where]!));
      if (at % sweepEvery === 0) work.push(sweepHolds(stores[at % 2]!, []).then(() => {}));
      await Promise.all(work);
    }
    for (const live of shuffled(lives, seed)) while (!live.ended) await advance(live, stores[seed & 1]!);
    // A gateway has died: what it had in flight is settled at its last checkpoints.
    await Promise.all(stores.map((on) => sweepHolds(on, [owner])));
    await expectSound(store);

    for (const live of lives) {
      const { item, result, ending } = live;
      const event = await store.db
        .selectFrom("usage_event")
        .selectAll()
        .where("request_id", "=", item.request_id)
        .executeTakeFirst();
      if (result!.refused !== null) expect(event).toBeUndefined();
      else if (ending === "settle") {
        const { output, inputUncached } = finalUsage(live);
        expect(event).toMatchObject({
          outcome: "ok",
          cost:
            result!.price === null
              ? 0n
              : costOf(result!.price, usage({ inputUncached: event!.input_uncached, output: event!.output })),
        });
        expect([event!.output + event!.unbilled_output, event!.input_uncached + event!.unbilled_prompt]).toEqual([
          output,
          inputUncached,
        ]);
        if (result!.unspent === null) expect(event!.output).toBe(output);
      } else if (ending === "void") expect(event).toMatchObject({ outcome: "ok", cost: 0n });
      else if (ending === "die") expect([0, ...live.outputs]).toContain(event!.output + event!.unbilled_output);
      // A sweep may have been before the release.
      else if (event !== undefined) expect(event).toMatchObject({ outcome: "recovered" });
    }
    for (const tenant of tenants) {
      const { held, balance } = await store.db
        .selectFrom("account")
        .select(["held", "balance"])
        .where("tenant_id", "=", tenant)
        .executeTakeFirstOrThrow();
      expect(held).toBe(0n);
      const { total } = await store.db
        .selectFrom("usage_event")
        .select((e) => sql<bigint>`coalesce(sum(${e.ref("cost")}), 0)::bigint`.as("total"))
        .where("tenant_id", "=", tenant)
        .executeTakeFirstOrThrow();
      expect(balance).toBe((tenant === limited.tenantId ? 400_000_000n : 0n) - total);
      // What was settled from a checkpoint gave back what it held; its later truth is billed all the same.
      const late = await store.db
        .selectFrom("usage_event")
        .select("request_id")
        .where("tenant_id", "=", tenant)
        .where("adjusted_at", "is not", null)
        .execute();
      if (late.length > 0) continue;
      if (tenant === limited.tenantId) expect(balance).toBeGreaterThanOrEqual(0n);
      const { rows: overrun } = await sql`
        SELECT b.amount, p.spent FROM budget b JOIN budget_period p ON p.budget_id = b.id WHERE b.tenant_id = ${tenant} AND p.spent > b.amount`.execute(
        store.db,
      );
      expect(overrun).toEqual([]);
    }

    const before = await snapshot(store, tenants);
    const again = shuffled(Array.from({ length: 10 }, () => done).flat(), seed);
    for (let at = 0; at < again.length; at += 8)
      await Promise.all(again.slice(at, at + 8).map((repeat, index) => repeat(stores[index & 1]!)));
    await Promise.all(stores.map((on) => sweepHolds(on, [owner])));
    expect(await snapshot(store, tenants)).toBe(before);
    await expectSound(store);
  };

  it("gives one ledger, exact and sound, and none of it changes when all is done ten times more", async () => {
    await fc.assert(fc.asyncProperty(scenario, run), { numRuns: RUNS, endOnFailure: true });
  });
});
