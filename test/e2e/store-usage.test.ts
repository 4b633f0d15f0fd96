/** Usage rows in a real store: each exactly once, whatever is repeated, refused or away; and the reports over them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKey } from "../../src/admission/keys.ts";
import { type Store, openStore } from "../../src/db/open-store.ts";
import { usageByGroup, usageByRequest } from "../../src/ledger/usage-report.ts";
import { createUsageWriter } from "../../src/ledger/usage-writer.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";
import { usageRow } from "../support/usage-row.ts";

async function idsLike(store: Store, prefix: string): Promise<string[]> {
  const rows = await store.db
    .selectFrom("usage_event")
    .select("request_id")
    .where("request_id", "like", `${prefix}%`)
    .orderBy("request_id")
    .execute();
  return rows.map((row) => row.request_id);
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_unused, index) => `${prefix}${String(index).padStart(5, "0")}`);
}

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("usage on $kind", ({ open }) => {
  let test: TestStore;
  let store: Store;
  beforeAll(async () => {
    test = await open();
    store = test.store;
  });
  afterAll(() => test.dispose());

  it("writes a thousand concurrent rows once each, and again changes nothing", async () => {
    const ids = numbered("req_many_", 1_000);
    const writer = createUsageWriter(store);
    const other = createUsageWriter(store);
    await Promise.all(ids.map((requestId) => writer.record(usageRow({ requestId }))));
    expect(await idsLike(store, "req_many_")).toEqual(ids);
    // Another gateway that replays them in another order, each twice, with another count.
    const usage = { inputUncached: 1, cacheRead: 1, cacheWrite: 1, output: 1, reasoning: 1 };
    const replayed = [...ids, ...ids].toReversed().map((requestId) => usageRow({ requestId, usage }));
    await Promise.all(replayed.flatMap((row) => [writer.record(row), other.record(row)]));
    expect(await idsLike(store, "req_many_")).toEqual(ids);
    const [sums] = await usageByGroup(store, "tenant", {});
    expect(sums).toMatchObject({ requests: 1_000, input_uncached: 100_000, cache_read: 20_000, cache_write: 3_000 });
    expect(sums).toMatchObject({ output: 40_000, reasoning: 5_000, not_ok: 0 });
    expect([await writer.close(1_000), await other.close(1_000)]).toEqual([0, 0]);
  });

  it("has written the row when record resolves", async () => {
    const writer = createUsageWriter(store);
    for (const requestId of numbered("req_now_", 20)) {
      await writer.record(usageRow({ requestId }));
      expect(await idsLike(store, requestId)).toEqual([requestId]);
    }
    await writer.close(1_000);
  });

  it("refuses rows that make no sense without losing those beside them", async () => {
    const lost: string[] = [];
    const writer = createUsageWriter(store, { onLost: (requestId) => lost.push(requestId) });
    const ids = numbered("req_mixed_", 100);
    const bad = new Set([ids[3], ids[4], ids[77]]);
    const results = await Promise.allSettled(
      ids.map((requestId, index) => {
        const row = usageRow({ requestId });
        if (index === 3) return writer.record({ ...row, usage: { ...row.usage, output: -1 } });
        if (index === 4) return writer.record({ ...row, usage: { ...row.usage, cacheRead: Number.NaN } });
        if (index === 77) return writer.record({ ...row, usage: { ...row.usage, inputUncached: 3e9 } });
        return writer.record(row);
      }),
    );
    const refused = ids.filter((_id, index) => results[index]?.status === "rejected");
    expect(new Set(refused)).toEqual(bad);
    expect(results[3]).toMatchObject({ reason: { code: "internal" } });
    expect(await idsLike(store, "req_mixed_")).toEqual(ids.filter((id) => !bad.has(id)));
    expect(new Set(lost)).toEqual(bad);
    expect(await writer.close(1_000)).toBe(3);
  });

  it("keeps a row whatever text a client put into it", async () => {
    const writer = createUsageWriter(store);
    const session = `'; DROP TABLE usage_event; -- "\\{}\0\uD800 ${"x".repeat(10_000)}`;
    await writer.record(usageRow({ requestId: "req_text_1", session, agent: "" }));
    await Promise.all(
      ["req_text_2", "req_text_3"].map((requestId) => writer.record(usageRow({ requestId, session, agent: null }))),
    );
    await writer.close(1_000);
    const rows = await store.db
      .selectFrom("usage_event")
      .select(["request_id", "session", "agent"])
      .where("request_id", "like", "req_text_%")
      .orderBy("request_id")
      .execute();
    const kept = `'; DROP TABLE usage_event; -- "\\{}\uFFFD\uFFFD ${"x".repeat(10_000)}`.slice(0, 500);
    expect(rows).toEqual([
      { request_id: "req_text_1", session: kept, agent: "" },
      { request_id: "req_text_2", session: kept, agent: null },
      { request_id: "req_text_3", session: kept, agent: null },
    ]);
  });

  describe("reports", () => {
    const day = (text: string): Date => new Date(`2025-03-${text}Z`);
    let acme: { tenantId: string; keyId: string };

    beforeAll(async () => {
      const pepper = Buffer.alloc(32);
      const [a, b, c] = [
        await createKey(store, pepper, "x", { tenant: "report-acme", name: "one" }),
        await createKey(store, pepper, "x", { tenant: "report-acme", name: "two" }),
        await createKey(store, pepper, "x", { tenant: "report-zeta", name: "one" }),
      ];
      acme = { tenantId: a.tenantId, keyId: a.id };
      const writer = createUsageWriter(store);
      const add = (requestId: string, key: typeof a, given: Partial<Parameters<typeof usageRow>[0]>) =>
        writer.record(usageRow({ requestId, tenantId: key.tenantId, keyId: key.id, ...given }));
      const none = { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
      await add("req_r1", a, { startedAt: day("01T00:00:00.000"), model: "m1", session: "s1" });
      await add("req_r2", a, { startedAt: day("01T23:59:59.999"), model: "m2", session: "s1", agent: "sub" });
      await add("req_r3", b, { startedAt: day("02T00:00:00.000"), model: "m1", session: null });
      await add("req_r4", c, {
        startedAt: day("02T00:00:00.000"),
        model: "m1",
        session: "s1",
        outcome: "error",
        errorCode: "engine_unreachable",
        firstTokenMs: null,
        countedBy: "gateway",
        usage: none,
      });
      await writer.close(1_000);
    });

    const march = { since: day("01T00:00:00"), until: day("31T00:00:00") };
    const sums = (requests: number, notOk = 0) => ({
      requests,
      not_ok: notOk,
      input_uncached: 100 * (requests - notOk),
      cache_read: 20 * (requests - notOk),
      cache_write: 3 * (requests - notOk),
      output: 40 * (requests - notOk),
      reasoning: 5 * (requests - notOk),
    });

    it.each([
      [
        "tenant",
        [
          { tenant: "report-acme", ...sums(3) },
          { tenant: "report-zeta", ...sums(1, 1) },
        ],
      ],
      [
        "key",
        [
          { tenant: "report-acme", key: "one", key_id: expect.any(String), ...sums(2) },
          { tenant: "report-acme", key: "two", key_id: expect.any(String), ...sums(1) },
          { tenant: "report-zeta", key: "one", key_id: expect.any(String), ...sums(1, 1) },
        ],
      ],
      [
        "model",
        [
          { model: "m1", ...sums(3, 1) },
          { model: "m2", ...sums(1) },
        ],
      ],
      [
        "session",
        [
          { tenant: "report-acme", session: "s1", ...sums(2) },
          { tenant: "report-acme", session: null, ...sums(1) },
          { tenant: "report-zeta", session: "s1", ...sums(1, 1) },
        ],
      ],
      [
        "agent",
        [
          { tenant: "report-acme", session: "s1", agent: "sub", ...sums(1) },
          { tenant: "report-acme", session: "s1", agent: null, ...sums(1) },
          { tenant: "report-acme", session: null, agent: null, ...sums(1) },
          { tenant: "report-zeta", session: "s1", agent: null, ...sums(1, 1) },
        ],
      ],
      [
        "day",
        [
          { day: "2025-03-01", ...sums(2) },
          { day: "2025-03-02", ...sums(2, 1) },
        ],
      ],
    ] as const)("sum by %s", async (by, expected) => {
      expect(await usageByGroup(store, by, march)).toMatchObject(expected);
    });

    it("count from the first instant to before the last", async () => {
      const filter = { since: day("01T23:59:59.999"), until: day("02T00:00:00.000") };
      const { rows } = await usageByRequest(store, filter, { limit: 10 });
      expect(rows.map(({ request_id }) => request_id)).toEqual(["req_r2"]);
    });

    it("show only the tenant that was asked for", async () => {
      const filter = { ...march, tenant: "report-zeta" };
      expect(await usageByGroup(store, "model", filter)).toMatchObject([{ model: "m1", ...sums(1, 1) }]);
      await expect(usageByGroup(store, "model", { tenant: "nobody" })).rejects.toMatchObject({ code: "not_found" });
      await expect(usageByRequest(store, { tenant: "nobody" }, { limit: 1 })).rejects.toMatchObject({
        code: "not_found",
      });
    });

    it("list requests with the promised fields first, the price after them", async () => {
      const { rows, next } = await usageByRequest(store, march, { limit: 10 });
      expect(next).toBeNull();
      expect(rows.map(({ request_id }) => request_id)).toEqual(["req_r1", "req_r2", "req_r3", "req_r4"]);
      expect(Object.keys(rows[0]!)).toEqual(
        (
          "request_id tenant key model session agent input_uncached cache_read cache_write output reasoning counted_by " +
          "outcome started_at first_token_ms duration_ms cost_usd"
        ).split(" "),
      );
      expect(rows[3]).toMatchObject({
        request_id: "req_r4",
        tenant: "report-zeta",
        key: "one",
        model: "m1",
        session: "s1",
        agent: null,
        input_uncached: 0,
        cache_read: 0,
        cache_write: 0,
        output: 0,
        reasoning: 0,
        counted_by: "gateway",
        outcome: "error",
        started_at: "2025-03-02T00:00:00.000Z",
        first_token_ms: null,
        duration_ms: 1_000,
      });
    });

    it("page through requests without losing or repeating one, also at the same instant", async () => {
      const writer = createUsageWriter(store);
      const ids = numbered("req_page_", 25);
      const startedAt = day("15T12:00:00.000");
      await Promise.all(ids.map((requestId) => writer.record(usageRow({ requestId, ...acme, startedAt }))));
      await writer.close(1_000);
      const filter = { since: startedAt, until: day("16T00:00:00") };
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await usageByRequest(store, filter, { limit: 7, after });
        seen.push(...page.rows.map(({ request_id }) => request_id));
        after = page.next ?? undefined;
      } while (after !== undefined);
      expect(seen).toEqual(ids);
      await expect(usageByRequest(store, filter, { limit: 7, after: "x" })).rejects.toMatchObject({
        code: "invalid_request",
      });
    });

    it("are empty where nothing was used", async () => {
      const filter = { since: day("20T00:00:00"), until: day("21T00:00:00") };
      expect(await usageByGroup(store, "tenant", filter)).toEqual([]);
      expect(await usageByRequest(store, filter, { limit: 7 })).toEqual({ rows: [], next: null });
    });
  });
});

describe("usage while Postgres is away", () => {
  const postgres = STORE_KINDS.find(({ kind }) => kind === "postgres")!;

  it.skipIf(postgres.skip)("is written once it is back, once each; only what does not fit is lost", async () => {
    const test = await postgres.open();
    const proxy = await cutProxy(test.options.databaseUrl!);
    const store = await openStore({ ...test.options, databaseUrl: proxy.url });
    const lost: string[] = [];
    const onLost = (requestId: string) => lost.push(requestId);
    const writer = createUsageWriter(store, { patienceMs: 100, retryMs: [20], capacity: 50, onLost });
    try {
      // The first connection may take longer than this writer's patience.
      await createUsageWriter(store).record(usageRow({ requestId: "req_before" }));
      await proxy.cut();
      const ids = numbered("req_away_", 60);
      const results = await Promise.allSettled(ids.map((requestId) => writer.record(usageRow({ requestId }))));
      for (const result of results)
        expect(result).toMatchObject({ status: "rejected", reason: { code: "store_unavailable" } });
      expect(lost).toEqual(ids.slice(50));
      expect(writer.pending).toBe(50);
      await proxy.mend();
      await expect.poll(() => writer.pending, { timeout: 30_000 }).toBe(0);
      expect(await idsLike(test.store, "req_away_")).toEqual(ids.slice(0, 50));

      await proxy.cut();
      const last = writer.record(usageRow({ requestId: "req_last" })).catch((error: unknown) => error);
      expect(await writer.close(50)).toBe(11);
      expect(await last).toMatchObject({ code: "store_unavailable" });
      expect(lost.at(-1)).toBe("req_last");
      await expect(writer.record(usageRow({ requestId: "req_closed" }))).rejects.toMatchObject({
        code: "store_unavailable",
      });
    } finally {
      await proxy.close();
      await store.close();
      await test.dispose();
    }
  });
});
