/** Standing holds, on both stores: what is let in on them, what they leave behind, and that no limit and no price gives way to them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { GatewayError } from "../../src/conversation/errors.ts";
import type { Store } from "../../src/db/open-store.ts";
import type { Ledger, LedgerOptions, ReserveRequest } from "../../src/ledger/ledger-types.ts";
import { costOf, holdFor } from "../../src/ledger/money.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import { sweepHolds } from "../../src/ledger/statements.ts";
import type { UsageRow } from "../../src/ledger/usage-row.ts";
import {
  PRICES,
  type Payer,
  QUIET,
  USD,
  accountOf,
  addBudget,
  addPayer,
  addPrice,
  countedOutputs,
  eventOf,
  expectSound,
  movingCounts,
  periodsOf,
  requestOf,
  rowOf,
  usage,
} from "../support/money.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";
import { waitUntil } from "../support/wait-until.ts";

/** As many tokens as any answer is held for, so that what is usual does not matter. */
const MOST = 256;
const HELD = holdFor(PRICES, 1_000, MOST);
const wanting = (row: UsageRow, given: Partial<ReserveRequest> = {}): ReserveRequest =>
  requestOf(row, { maxOutput: MOST, ...given });
const COST = costOf(PRICES, rowOf({ tenantId: "", keyId: "" }).usage);

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("standing holds on $kind", ({ open }) => {
  let test: TestStore;
  let store: Store;
  let dataDir: string;
  let ledger: Ledger;
  let problems: string[];
  const start = (options: Partial<LedgerOptions> = {}): Promise<Ledger> =>
    openLedger(store, { dataDir, ...QUIET, onProblem: (what) => problems.push(what), ...options });

  beforeAll(async () => {
    test = await open();
    store = test.store;
    await addPrice(store, "priced");
  });
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), "evener-standing-"));
    problems = [];
    ledger = await start();
  });
  afterEach(async () => {
    await ledger.close(5_000);
    await expectSound(store);
    rmSync(dataDir, { recursive: true, force: true });
    expect(problems).toEqual([]);
    const { rows } = await sql`SELECT FROM usage_event WHERE wire = 'standing'`.execute(store.db);
    expect(rows).toEqual([]);
  });
  afterAll(() => test.dispose());

  const holdsOf = async ({ tenantId }: Payer): Promise<{ id: string; amount: bigint }[]> => {
    const { rows } = await sql<{ id: string; amount: bigint }>`
      SELECT request_id AS id, amount FROM hold WHERE tenant_id = ${tenantId} ORDER BY 1`.execute(store.db);
    return rows;
  };
  const nothingIsHeld = (payer: Payer): Promise<void> =>
    waitUntil("nothing to be held", async () => (await holdsOf(payer)).length === 0);
  const pass = async (payer: Payer, given: Partial<ReserveRequest> = {}, by = ledger): Promise<string> => {
    const row = rowOf(payer, given.model === undefined ? {} : { model: given.model });
    await (await by.reserve(wanting(row, given))).settle(row);
    return row.requestId;
  };
  /** Resolves when a hold stands ready. */
  const busy = async (payer: Payer, given: Partial<ReserveRequest> = {}, by = ledger): Promise<void> => {
    for (let n = 0; n < 2; n++) await pass(payer, given, by);
    await waitUntil("a standing hold", async () => (await holdsOf(payer)).length > 0);
  };

  it("lets the requests of a busy key in without a hold of their own, and bills them as ever", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    const budget = await addBudget(store, payer, "day", 100n * USD);
    await busy(payer);
    const [standing, ...others] = await holdsOf(payer);
    expect(others).toEqual([]);
    expect(standing).toMatchObject({ id: expect.stringMatching(/^standing-/), amount: 4n * HELD });
    const rows = [rowOf(payer), rowOf(payer)];
    const reserved = await Promise.all(rows.map((row) => ledger.reserve(wanting(row))));
    // What stood ready was asked for before the request that was to make it so had its end.
    const { spent } = reserved[0]!.cap!;
    expect([COST, 2n * COST]).toContain(spent);
    expect(reserved[1]!.cap).toMatchObject({ spent });
    expect(await holdsOf(payer)).toEqual([standing]);
    await Promise.all(reserved.map((one, n) => one.settle(rows[n]!)));
    expect((await ledger.reserve(wanting(rowOf(payer)))).cap).toMatchObject({ spent: spent + 2n * COST });
    expect(await accountOf(store, payer)).toMatchObject({ balance: 100n * USD - 4n * COST, held: 4n * HELD });
    expect(await eventOf(store, rows[1]!.requestId)).toMatchObject({ cost: COST, held: null, outcome: "ok" });
    await expectSound(store);
    expect(await periodsOf(store, budget)).toMatchObject([{ spent: 4n * COST, held: 4n * HELD }]);
  });

  it("frees what nobody comes for any more", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    const budget = await addBudget(store, payer, "month", 100n * USD);
    await busy(payer);
    await pass(payer);
    await nothingIsHeld(payer);
    expect(await accountOf(store, payer)).toMatchObject({ held: 0n });
    expect(await periodsOf(store, budget)).toMatchObject([{ spent: 3n * COST, held: 0n }]);
  });

  it("gives what lives longer a hold of its own, where a sweep finds what was counted", async () => {
    const living = await start({ checkpointMs: 40, owner: "living" });
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    await busy(payer, {}, living);
    const row = rowOf(payer);
    const counts = movingCounts();
    const reservation = await living.reserve(wanting(row, { counts }));
    counts.set({ inputUncached: 200, output: 30 });
    await waitUntil("a hold of its own", async () => (await holdsOf(payer)).some(({ id }) => id === row.requestId));
    await waitUntil("the standing hold to end", async () => (await holdsOf(payer)).length === 1);
    if (store.kind === "postgres") expect(await countedOutputs(store, "living")).toEqual([30]);
    await reservation.settle(row);
    expect(await holdsOf(payer)).toEqual([]);
    expect(await eventOf(store, row.requestId)).toMatchObject({ cost: COST, held: HELD });
    await living.close(1_000);
  });

  it("leaves no hold of a request that ended while one was being made for it", async () => {
    const living = await start({ checkpointMs: 40 });
    const payer = await addPayer(store, { terms: "prepaid", balance: 1_000n * USD, floor: 0n });
    await busy(payer, {}, living);
    const rows = Array.from({ length: 400 }, () => rowOf(payer));
    let own = 0;
    const lane = async (): Promise<void> => {
      for (let row = rows.pop(); row !== undefined; row = rows.pop()) {
        const reservation = await living.reserve(wanting(row));
        await setTimeout(Math.random() * 40);
        await (Math.random() < 0.5 ? reservation.settle(row) : reservation.void(row));
        if ((await eventOf(store, row.requestId))!.held !== null) own++;
      }
    };
    await Promise.all(Array.from({ length: 20 }, lane));
    expect(own).toBeGreaterThan(20);
    await living.close(1_000);
    await nothingIsHeld(payer);
  });

  it("tells the database what was counted also while it makes a hold", async () => {
    const living = await start({ checkpointMs: 40, owner: "waiting" });
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    await busy(payer, {}, living);
    const row = rowOf(payer);
    const counts = movingCounts();
    const noted = async (): Promise<boolean> => {
      const { rows } =
        await sql`SELECT FROM running_count WHERE owner = 'waiting' AND counts::text LIKE ${`%${row.requestId}%`}`.execute(
          store.db,
        );
      return rows.length > 0;
    };
    const reservation = await living.reserve(wanting(row, { counts }));
    counts.set({ inputUncached: 200, output: 30 });
    // Somebody is at the account, so that nothing can be reserved. The embedded database has one statement at a time, and its journal has the counts.
    if (store.kind === "postgres")
      await store.db.transaction().execute(async (trx) => {
        await sql`SELECT FROM account WHERE tenant_id = ${payer.tenantId} FOR UPDATE`.execute(trx);
        await waitUntil("the count", noted);
        const { rows } = await sql`SELECT FROM hold WHERE request_id = ${row.requestId}`.execute(store.db);
        expect(rows).toEqual([]);
      });
    await reservation.settle(row);
    expect(await eventOf(store, row.requestId)).toMatchObject({ outcome: "ok", cost: COST });
    await living.close(1_000);
  });

  it("lends nothing where limits have not room for very many", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 250n * HELD, floor: 0n });
    for (let n = 0; n < 20; n++) {
      const row = rowOf(payer);
      const reservation = await ledger.reserve(wanting(row));
      expect((await holdsOf(payer)).map(({ id }) => id)).toEqual([row.requestId]);
      await reservation.void();
    }
  });

  it("refuses nobody for what stands ready", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 10n * USD, floor: 0n });
    await busy(payer);
    const { balance } = await accountOf(store, payer);
    const all = Number(balance / PRICES.cacheWrite) * 1_000;
    const large = await ledger.reserve(wanting(rowOf(payer), { inputTokens: () => all, maxOutput: 0 }));
    await large.void();
  });

  it("leaves to a sweep what a dead gateway had ready, and no row of it", async () => {
    const dying = await start({ owner: "dying" });
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    await busy(payer, {}, dying);
    expect(await sweepHolds(store, ["dying"])).toBe(0);
    expect(await accountOf(store, payer)).toMatchObject({ balance: 100n * USD - 2n * COST, held: 0n });
    // It was frozen only: what it lets in meanwhile is billed all the same.
    await pass(payer, {}, dying);
    expect(await accountOf(store, payer)).toMatchObject({ balance: 100n * USD - 3n * COST, held: 0n });
    await dying.close(1_000);
  });

  it("lets nobody in on a price or a limit that was changed", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    await addPrice(store, "changed");
    await busy(payer, { model: "changed" });
    const price = await addPrice(store, "changed", { ...PRICES, output: 1n });
    ledger.changed({ model: "changed" });
    const dear = await pass(payer, { model: "changed" });
    expect(await eventOf(store, dear)).toMatchObject({ price_id: BigInt(price) });
    await busy(payer, { model: "changed" });
    await sql`UPDATE account SET floor = balance WHERE tenant_id = ${payer.tenantId}`.execute(store.db);
    ledger.changed({ tenantId: payer.tenantId });
    const refused: GatewayError = await ledger.reserve(wanting(rowOf(payer))).then(
      () => expect.unreachable(),
      (error: unknown) => error as GatewayError,
    );
    expect(refused.code).toBe("insufficient_credit");
  });

  it("lets a price end when the next one begins, to the moment", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    const unlimited = await addPayer(store);
    await addPrice(store, "ending");
    await addPrice(store, "ending", { ...PRICES, output: 1n }, new Date(Date.now() + 600));
    const until = performance.now() + 900;
    while (performance.now() < until) {
      await Promise.all([pass(payer, { model: "ending" }), pass(unlimited, { model: "ending" })]);
      await setTimeout(1);
    }
    const { rows } = await sql<{ n: number; unheld: number; right: number; prices: number }>`
      SELECT count(*)::int AS n, count(*) FILTER (WHERE u.held IS NULL)::int AS unheld, count(DISTINCT u.price_id)::int AS prices,
        count(*) FILTER (WHERE u.price_id = (SELECT p.id FROM price_version p WHERE p.model = u.model AND p.valid_from <= u.reserved_at
          ORDER BY p.valid_from DESC LIMIT 1))::int AS right
      FROM usage_event u WHERE u.model = 'ending'`.execute(store.db);
    expect(rows[0]).toMatchObject({ right: rows[0]!.n, prices: 2 });
    expect(rows[0]!.unheld).toBeGreaterThan(rows[0]!.n / 2);
  });

  it("charges what a prompt cost beyond its estimate out of what stands ready, and no more than limits have room for", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 100n * USD, floor: 0n });
    await busy(payer);
    const [within, beyond] = [rowOf(payer, { usage: usage({ inputUncached: 6_000 }) }), rowOf(payer)];
    const [first, second] = [await ledger.reserve(wanting(within)), await ledger.reserve(wanting(beyond))];
    await first.settle(within);
    expect(await eventOf(store, within.requestId)).toMatchObject({ held: null, unbilled_prompt: 0 });
    // Somebody else has spent all but a cent and what is held.
    const { balance, held } = await accountOf(store, payer);
    const left = USD / 100n;
    await sql`UPDATE account SET floor = ${balance - held - left} WHERE tenant_id = ${payer.tenantId}`.execute(
      store.db,
    );
    await second.settle({ ...beyond, usage: usage({ inputUncached: 1_000_000 }) });
    const event = (await eventOf(store, beyond.requestId))!;
    expect(event.unbilled_prompt).toBe(1_000_000 - event.input_uncached);
    expect(event.cost).toBe(left - (left % 3_000n));
  });

  it("is spent to the last by two gateways, and never overrun", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 20n * USD, floor: 0n });
    const other = await start();
    const small = { inputTokens: () => 1_000, maxOutput: 500 };
    let refusals = 0;
    const lane = async (by: Ledger): Promise<void> => {
      for (let inRow = 0; inRow < 60;) {
        const row = rowOf(payer, { usage: usage({ inputUncached: 1_000, output: Math.ceil(Math.random() * 500) }) });
        try {
          const reservation = await by.reserve(wanting(row, small));
          if (Math.random() < 0.1) await setTimeout(20);
          await reservation.settle(row);
          inRow = 0;
        } catch (error) {
          if ((error as GatewayError).code !== "insufficient_credit") throw error;
          refusals++;
          inRow++;
          await setTimeout(50);
        }
      }
    };
    await Promise.all(Array.from({ length: 24 }, (_, n) => lane(n % 2 === 0 ? ledger : other)));
    await other.close(5_000);
    await nothingIsHeld(payer);
    const { balance } = await accountOf(store, payer);
    expect(balance).toBeGreaterThanOrEqual(0n);
    expect(balance).toBeLessThan(holdFor(PRICES, 1_000, 500));
    expect(refusals).toBeGreaterThan(0);
  });
});
