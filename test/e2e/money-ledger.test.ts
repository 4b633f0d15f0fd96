/** A request's life through the ledger, on both stores: reserved, metered, settled; refused in words; cut when nothing more can be paid. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Store } from "../../src/db/open-store.ts";
import type { GatewayError } from "../../src/conversation/errors.ts";
import { costOf } from "../../src/ledger/money.ts";
import type { Count, JournalRecord } from "../../src/ledger/journal/records.ts";
import { readSegment } from "../../src/ledger/journal/segment.ts";
import type { Ledger, LedgerOptions } from "../../src/ledger/ledger-types.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import { settleItem } from "../../src/ledger/settle-item.ts";
import { settleItems } from "../../src/ledger/statements.ts";
import { verifyLedger } from "../../src/ledger/verify.ts";
import { newRequestId } from "../../src/gateway/request-id.ts";
import {
  PRICES,
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
  requestOf,
  rowOf,
  usage,
} from "../support/money.ts";
import { refusalOf } from "../support/refusal-of.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";
import { waitUntil } from "../support/wait-until.ts";

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("a ledger on $kind", ({ kind, open }) => {
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
    dataDir = mkdtempSync(join(tmpdir(), "evener-ledger-"));
    problems = [];
    ledger = await start();
  });
  afterEach(async () => {
    await ledger.close(5_000);
    rmSync(dataDir, { recursive: true, force: true });
    await expectSound(store);
    expect(problems).toEqual([]);
  });
  afterAll(() => test.dispose());

  it("bills what the engine reported, once, however often it is told", async () => {
    const payer = await addPayer(store);
    const row = rowOf(payer);
    const reservation = await ledger.reserve(requestOf(row));
    expect(ledger.status).toMatchObject({ live: 1, pending: 0, storeAway: false });
    expect((await accountOf(store, payer)).held).toBeGreaterThan(0n);
    await Promise.all([reservation.settle(row), reservation.settle(row), reservation.void(row), reservation.void()]);
    expect(await accountOf(store, payer)).toMatchObject({ held: 0n, balance: -costOf(PRICES, row.usage) });
    expect(await eventOf(store, row.requestId)).toMatchObject({ cost: costOf(PRICES, row.usage), outcome: "ok" });
    expect(ledger.status.live).toBe(0);
  });

  it("knows of a request in flight that costs something and has no hold, until the database has its end", async () => {
    const payer = await addPayer(store);
    const rows = Array.from({ length: 2 }, () => rowOf(payer));
    const [first, second] = [await ledger.reserve(requestOf(rows[0]!)), await ledger.reserve(requestOf(rows[1]!))];
    const free = rowOf(payer, { model: "unpriced" });
    const unpriced = await ledger.reserve(requestOf(free));
    await first.settle(rows[0]!);
    const { rows: holds } = await sql`SELECT FROM hold WHERE request_id = ${rows[1]!.requestId}`.execute(store.db);
    expect(holds).toEqual([]);
    expect(ledger.unknownSince(payer.tenantId)).toBeInstanceOf(Date);
    expect(ledger.unknownSince("ten_of_somebody_else")).toBeUndefined();
    await second.settle(rows[1]!);
    await waitUntil("the end to be in the database", () => ledger.unknownSince(payer.tenantId) === undefined);
    expect(await eventOf(store, rows[1]!.requestId)).toMatchObject({ outcome: "ok" });
    await unpriced.settle(free);
  });

  it("has in the journal of an embedded database what a growing hold was told was counted", async () => {
    const payer = await addPayer(store, { terms: "postpaid", floor: -USD });
    const row = rowOf(payer);
    const counts = movingCounts();
    const reservation = await ledger.reserve(requestOf(row, { counts, maxOutput: 10_000 }));
    const { held } = await accountOf(store, payer);
    counts.set({ inputUncached: 1_000, output: 900 });
    reservation.progress();
    await waitUntil("the hold to grow", async () => (await accountOf(store, payer)).held > held);
    const written = (): Count[] =>
      readdirSync(join(dataDir, "journal", "1"))
        .filter((name) => name.endsWith(".journal"))
        .flatMap((name) => readSegment(readFileSync(join(dataDir, "journal", "1", name))).records)
        .map((record) => JSON.parse(record) as JournalRecord)
        .flatMap((record) => (record.t === "count" ? record.counts : []));
    if (kind === "pglite") await waitUntil("the count in the journal", () => written().length > 0);
    const counted = written().map(([id, , , , , output]) => [id, output]);
    expect(counted).toEqual(kind === "pglite" ? [[row.requestId, 900]] : []);
    await reservation.settle({ ...row, usage: counts.usage });
  });

  it("leaves no trace of what never began, and charges nothing for what failed before its first byte", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: USD, floor: 0n });
    const [row, failed] = [rowOf(payer), rowOf(payer, { outcome: "error", errorCode: "engine_unreachable" })];
    await (await ledger.reserve(requestOf(row))).void();
    await (await ledger.reserve(requestOf(failed))).void(failed);
    expect(await eventOf(store, row.requestId)).toBeUndefined();
    expect(await eventOf(store, failed.requestId)).toMatchObject({ cost: 0n, error_code: "engine_unreachable" });
    expect(await accountOf(store, payer)).toMatchObject({ held: 0n, balance: USD });
  });

  it("keeps what clients and engines say from costing a row", async () => {
    const payer = await addPayer(store);
    const row = rowOf(payer, {
      session: "a\0b\ud800",
      agent: "x".repeat(5_000),
      finishReason: '"\\{}',
      usage: usage({ inputUncached: 1e12, output: 5, reasoning: 9 }),
      durationMs: -5,
      firstTokenMs: Number.NaN,
    });
    await (await ledger.reserve(requestOf(row, { inputTokens: () => Infinity, maxOutput: 10 }))).settle(row);
    expect(await eventOf(store, row.requestId)).toMatchObject({
      session: "a\uFFFDb\uFFFD",
      finish_reason: '"\\{}',
      input_uncached: 2_147_483_647,
      reasoning: 5,
      duration_ms: 0,
      first_token_ms: 0,
    });
  });

  it("says what is spent, until when, and what to do", async () => {
    const payer = await addPayer(store);
    await addBudget(store, { tenantId: payer.tenantId }, "month", 3n * USD);
    const row = rowOf(payer, { usage: usage({ output: 200_000 }) });
    await (await ledger.reserve(requestOf(row))).settle(row);
    const error = await refusalOf(ledger.reserve(requestOf(rowOf(payer))));
    expect(error).toMatchObject({
      code: "budget_exceeded",
      cap: { scope: "tenant", period: "month", limit: 3n * USD, spent: 3n * USD },
    });
    expect(error.row).toMatchObject({ status: 429, anthropicType: "billing_error", openaiCode: "insufficient_quota" });
    expect(error.message).toMatch(
      /^The monthly budget of this tenant \(3\.00 USD\) is spent: wait until \d{4}-\d\d-01 00:00 UTC, or ask .+\.$/,
    );
    const reset = error.cap!.resetsAt.getTime();
    expect(Math.abs(reset - Date.now() - error.retryAfter! * 1000)).toBeLessThan(5_000);
    expect(ledger.status.live).toBe(0);
  });

  it("tells credit that is missing from a limit that is reached", async () => {
    const [prepaid, postpaid] = [
      await addPayer(store, { terms: "prepaid", floor: 0n }),
      await addPayer(store, { terms: "postpaid", floor: -1n }),
    ];
    const [credit, limit] = [
      await refusalOf(ledger.reserve(requestOf(rowOf(prepaid)))),
      await refusalOf(ledger.reserve(requestOf(rowOf(postpaid)))),
    ];
    expect([credit.code, limit.code]).toEqual(["insufficient_credit", "insufficient_credit"]);
    expect(credit.message).toContain("credit of this tenant");
    expect(limit.message).toContain("limit of this tenant's account");
  });

  it("gives the cap that is spent furthest with every reservation", async () => {
    const payer = await addPayer(store);
    const unlimited = await ledger.reserve(requestOf(rowOf(payer)));
    expect(unlimited.cap).toBeUndefined();
    await unlimited.void();
    await addBudget(store, payer, "day", 10n * USD);
    ledger.changed({ tenantId: payer.tenantId });
    expect((await ledger.reserve(requestOf(rowOf(payer)))).cap).toMatchObject({
      scope: "key",
      period: "day",
      limit: 10n * USD,
      spent: 0n,
    });
  });

  it("holds for twice the usual answer, and never more than may come", async () => {
    const payer = await addPayer(store, { terms: "postpaid", floor: -100n * USD });
    const heldFor = async (maxOutput: number, output = 300): Promise<bigint> => {
      const row = rowOf(payer, { usage: usage({ output }) });
      // Each has a hold of its own.
      ledger.changed({ tenantId: payer.tenantId });
      const reservation = await ledger.reserve(requestOf(row, { inputTokens: () => 0, maxOutput }));
      const { held } = await accountOf(store, payer);
      await reservation.settle(row);
      return held / 15_000n;
    };
    expect(await heldFor(32_000)).toBe(1_024n);
    expect(await heldFor(50)).toBe(50n);
    for (let n = 0; n < 100; n++) await heldFor(32_000);
    expect(await heldFor(32_000)).toBeLessThan(660n);
    // As much as an answer may grow by before it has to ask for more.
    for (let n = 0; n < 100; n++) await heldFor(32_000, 10);
    expect(await heldFor(32_000)).toBe(256n);
  });

  it("enlarges the hold of a long answer before it is used up", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: USD, floor: 0n });
    const row = rowOf(payer);
    const counts = movingCounts();
    let cut = false;
    const reservation = await ledger.reserve(
      requestOf(row, { counts, maxOutput: 30_000, onExhausted: () => (cut = true) }),
    );
    counts.set({ inputUncached: 1_000 });
    for (let output = 0; output <= 20_000; output += 100) {
      counts.set({ output });
      reservation.progress();
      await new Promise(setImmediate);
      const covered = async () => (await accountOf(store, payer)).held >= costOf(PRICES, counts.usage);
      if (output % 1_000 === 0) await waitUntil("the hold to cover what came", covered);
    }
    expect(cut).toBe(false);
    await reservation.settle({ ...row, usage: counts.usage });
    expect(await accountOf(store, payer)).toMatchObject({ held: 0n, balance: USD - costOf(PRICES, counts.usage) });
  });

  it(
    "ends an answer that nothing more can be paid of, bills none of it beyond its limit, and the row says why",
    { retry: 0 },
    async () => {
      const limit = 60_000_000n;
      const payer = await addPayer(store);
      const budget = await addBudget(store, { tenantId: payer.tenantId }, "day", limit);
      const row = rowOf(payer);
      const counts = movingCounts();
      let cuts = 0;
      const patient = await start({ dataDir: join(dataDir, "patient"), patienceMs: 60_000 });
      const reservation = await patient.reserve(
        requestOf(row, { counts, maxOutput: 30_000, onExhausted: () => cuts++ }),
      );
      counts.set({ inputUncached: 1_000 });
      // Faster than a busy machine's database can be asked: what is too much has come before the answer can be ended.
      for (let output = 0; cuts === 0; output += 50) {
        counts.set({ output });
        reservation.progress();
        await new Promise(setImmediate);
        if (output === 10_000) await waitUntil("the answer to be ended", () => cuts > 0);
      }
      for (let n = 0; n < 10; n++) reservation.progress();
      expect(cuts).toBe(1);
      counts.set({ output: counts.output + 200 });
      await reservation.settle({ ...row, usage: counts.usage, finishReason: "length" });
      await patient.close(5_000);
      const event = (await eventOf(store, row.requestId))!;
      expect(event.cut_by).toBe("tenant day budget");
      expect(event.output + event.unbilled_output).toBe(counts.output);
      expect(event.unbilled_output).toBeGreaterThan(0);
      // To the last token that fits.
      const token = PRICES.output / 1000n;
      const { rows } = await sql<{ spent: bigint; held: bigint }>`
      SELECT spent, held FROM budget_period WHERE budget_id = ${budget}`.execute(store.db);
      expect(rows).toEqual([{ spent: event.cost, held: 0n }]);
      expect(event.cost).toBeLessThanOrEqual(limit);
      expect(event.cost).toBeGreaterThan(limit - token);
    },
  );

  it("checkpoints all requests in flight, so that one that dies is billed at its last count", async () => {
    const payer = await addPayer(store);
    const busy = await start({ dataDir: join(dataDir, "busy"), checkpointMs: 20, leaseMs: 300, owner: "dies" });
    const rows = Array.from({ length: 30 }, () => rowOf(payer));
    const counts = rows.map(() => movingCounts());
    await Promise.all(rows.map((row, index) => busy.reserve(requestOf(row, { counts: counts[index]! }))));
    counts.forEach((count, index) => count.set({ inputUncached: 500, output: 10 + index }));
    await waitUntil("the counts to be in the database", async () => {
      const outputs = await countedOutputs(store, "dies");
      return outputs.length === 30 && outputs.every((output) => output >= 10);
    });
    await busy.close(1_000);
    expect(await eventOf(store, rows[0]!.requestId)).toBeUndefined();
    // It had left its place; another takes it, and knows it dead.
    const after = await start({ dataDir: join(dataDir, "busy") });
    expect(after.recovered).toEqual({ replayed: kind === "pglite" ? 0 : 0, recovered: 30 });
    for (const [index, row] of rows.entries())
      expect(await eventOf(store, row.requestId)).toMatchObject({
        outcome: "recovered",
        output: 10 + index,
        input_uncached: 500,
      });
    await after.close(1_000);
  });

  it("checkpoints all the others beside a request of which an engine counts nonsense", async () => {
    const [payer, other] = [await addPayer(store), await addPayer(store)];
    const busy = await start({ dataDir: join(dataDir, "beside"), checkpointMs: 20, leaseMs: 300, owner: "beside" });
    const [row, mad] = [rowOf(payer), rowOf(other)];
    const [counts, nonsense] = [movingCounts(), movingCounts()];
    const reserved = await busy.reserve(requestOf(row, { counts }));
    const beside = await busy.reserve(requestOf(mad, { counts: nonsense }));
    nonsense.set({ inputUncached: 9e11, cacheRead: 9e11, output: 9e11, reasoning: 1e12 });
    counts.set({ output: 17 });
    await waitUntil("both counts to be in the database", async () => {
      const outputs = await countedOutputs(store, "beside");
      return outputs.includes(17) && outputs.includes(2_147_483_647);
    });
    await Promise.all([reserved.settle(row), beside.settle(mad)]);
    await busy.close(1_000);
    expect(problems).toEqual([]);
  });

  it("asks the database about what cannot be refused no more than every two seconds, and at once after a change", async () => {
    const payer = await addPayer(store);
    const holds = async (model: string): Promise<boolean> => {
      const row = rowOf(payer, { model });
      const reservation = await ledger.reserve(requestOf(row));
      const hold = await store.db
        .selectFrom("hold")
        .select("amount")
        .where("request_id", "=", row.requestId)
        .executeTakeFirst();
      await reservation.settle(row);
      expect(await eventOf(store, row.requestId)).toMatchObject({ model, output: 40 });
      return hold !== undefined;
    };
    expect([await holds("free of charge"), await holds("free of charge")]).toEqual([true, false]);
    await addPrice(store, "free of charge");
    ledger.changed({ model: "free of charge" });
    expect([await holds("free of charge"), await holds("free of charge")]).toEqual([true, false]);
    const { balance } = await accountOf(store, payer);
    expect(balance).toBe(-2n * costOf(PRICES, rowOf(payer).usage));
    const budget = await addBudget(store, payer, "day", USD);
    await sql`INSERT INTO budget_period VALUES (${budget}, utc_day(now()), ${-balance})`.execute(store.db);
    ledger.changed({ tenantId: payer.tenantId });
    expect([await holds("free of charge"), await holds("free of charge")]).toEqual([true, true]);
  });

  it("lets a request to a model without a price change nothing of what is known of limits", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 1_000_000n, floor: 0n });
    const row = rowOf(payer, { model: "costs nothing" });
    const reserved = async (model: string): Promise<string> => {
      try {
        await (await ledger.reserve(requestOf({ ...row, requestId: newRequestId(), model }))).void();
        return "let in";
      } catch (error) {
        return (error as GatewayError).code;
      }
    };
    expect(await reserved("priced")).toBe("insufficient_credit");
    expect(await reserved(row.model)).toBe("let in");
    for (let n = 0; n < 3; n++) expect(await reserved("priced")).toBe("insufficient_credit");
  });

  it.each([-300_000, 300_000])("goes by the database's clock when its own is off by %d ms", async (skew) => {
    const payer = await addPayer(store);
    const model = `changing by ${skew}`;
    await addPrice(store, model);
    // Valid a minute from now: a clock that is five minutes ahead would ask it today.
    const dearer = { ...PRICES, output: PRICES.output * 2n };
    await addPrice(store, model, dearer, new Date(Date.now() + 60_000));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + skew });
    const rows = ["unpriced", "unpriced", "unpriced", model, model].map((name) => rowOf(payer, { model: name }));
    try {
      // Of the same model the second knows the terms, and does not ask the database.
      for (const row of rows) await (await ledger.reserve(requestOf(row))).settle(row);
    } finally {
      vi.useRealTimers();
    }
    const now = Date.now();
    for (const row of rows) {
      const event = (await eventOf(store, row.requestId))!;
      expect(Math.abs(event.started_at.getTime() - now - skew)).toBeLessThan(30_000);
      expect(Math.abs(event.reserved_at.getTime() - now)).toBeLessThan(30_000);
      expect(event.cost).toBe(row.model === model ? costOf(PRICES, row.usage) : 0n);
    }
  });

  it("finds a price that had been followed by another where the database could have said so", async () => {
    const other = await open();
    const [old, later] = [2, 1].map((hours) => new Date(Date.now() - hours * 3_600_000));
    await addPrice(other.store, "followed", PRICES, old, old);
    const payer = await addPayer(other.store);
    const elsewhere = await openLedger(other.store, { dataDir: join(dataDir, "elsewhere"), ...QUIET });
    // The second is not held for.
    for (let n = 0; n < 2; n++) {
      const row = rowOf(payer, { model: "followed" });
      await (await elsewhere.reserve(requestOf(row))).settle(row);
    }
    await addPrice(other.store, "followed", { ...PRICES, output: 0n }, later, later);
    const broken = (await verifyLedger(other.store)).checks.filter(({ rows }) => rows.length > 0);
    // What has no hold in Postgres may have been let in while that was away.
    expect(broken).toMatchObject([{ name: "prices-of-their-time", rows: kind === "postgres" ? [{}] : [{}, {}] }]);
    await elsewhere.close(1_000);
    await other.dispose();
  });

  it("finds what cost nothing because the price that it was let in at is not in the database, which was restored meanwhile", async () => {
    const other = await open();
    const payer = await addPayer(other.store);
    const row = rowOf(payer, { model: "priced after the backup" });
    const { id } = await accountOf(other.store, payer);
    const terms = { accountId: Number(id), priceId: 4_711, reservedAt: new Date() };
    await settleItems(other.store, [settleItem(row, terms, { billed: true, cutBy: null })]);
    const broken = (await verifyLedger(other.store)).checks.filter(({ rows }) => rows.length > 0);
    expect(broken).toMatchObject([
      { name: "prices-of-their-time", rows: [{ request_id: row.requestId, price_id: "4711" }] },
    ]);
    await other.dispose();
  });

  it("lets two on one data directory each have a journal", async () => {
    const second = await start();
    expect(readdirSync(join(dataDir, "journal")).sort()).toEqual(["1", "2"]);
    await second.close(1_000);
  });

  it("settles a thousand at once, exactly", async () => {
    const payer = await addPayer(store, { terms: "prepaid", balance: 1_000n * USD, floor: 0n });
    const budget = await addBudget(store, payer, "month", 1_000n * USD);
    const rows = Array.from({ length: 1_000 }, (_, index) =>
      rowOf(payer, { usage: usage({ inputUncached: index, output: index % 7 }) }),
    );
    await Promise.all(rows.map(async (row) => (await ledger.reserve(requestOf(row))).settle(row)));
    const cost = rows.reduce((sum, row) => sum + costOf(PRICES, row.usage), 0n);
    await waitUntil("the standing hold to end", async () => (await accountOf(store, payer)).held === 0n);
    expect(await accountOf(store, payer)).toMatchObject({ balance: 1_000n * USD - cost });
    const period = await store.db
      .selectFrom("budget_period")
      .select(["spent", "held"])
      .where("budget_id", "=", budget)
      .execute();
    expect(period).toEqual([{ spent: cost, held: 0n }]);
  });
});
