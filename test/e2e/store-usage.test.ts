/** Usage rows in a real store, and the reports over them. That each is there exactly once is proven in money-ledger.test.ts. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKey } from "../../src/admission/keys.ts";
import type { Store } from "../../src/db/open-store.ts";
import { withMadeCost } from "../../src/ledger/admin/engine-cost.ts";
import { engineTimeByGroup, usageByGroup, usageByRequest } from "../../src/ledger/usage-report.ts";
import { settleRows } from "../support/settled-rows.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";
import type { usageRow } from "../support/usage-row.ts";

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

  it("keeps a row whatever text a client put into it", async () => {
    const session = `'; DROP TABLE usage_event; -- "\\{}\0\uD800 ${"x".repeat(10_000)}`;
    await settleRows(store, [
      { requestId: "req_text_1", session, agent: "" },
      { requestId: "req_text_2", session, agent: null },
      { requestId: "req_text_3", session, agent: null },
    ]);
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
      const add = (requestId: string, key: typeof a, given: Partial<Parameters<typeof usageRow>[0]>) =>
        settleRows(store, [{ requestId, tenantId: key.tenantId, keyId: key.id, ...given }]);
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
        repeatOf: "req_elsewhere",
      });
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

    it("list requests with the promised fields first, the price and what was sent again after them", async () => {
      const { rows, next } = await usageByRequest(store, march, { limit: 10 });
      expect(next).toBeNull();
      expect(rows.map(({ request_id }) => request_id)).toEqual(["req_r1", "req_r2", "req_r3", "req_r4"]);
      expect(Object.keys(rows[0]!)).toEqual(
        (
          "request_id tenant key model session agent input_uncached cache_read cache_write output reasoning counted_by " +
          "outcome started_at first_token_ms duration_ms cost_usd repeat_of error_code cut_by unbilled_prompt unbilled_output"
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
        repeat_of: "req_elsewhere",
      });
      expect(rows[0]).toMatchObject({ request_id: "req_r1", repeat_of: null });
    });

    it("page through requests without losing or repeating one, also at the same instant", async () => {
      const ids = numbered("req_page_", 25);
      const startedAt = day("15T12:00:00.000");
      await settleRows(
        store,
        ids.map((requestId) => ({ requestId, ...acme, startedAt })),
      );
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

    it("go by the database's clock, as invoices do, whatever the gateway's says", async () => {
      await settleRows(store, [
        {
          requestId: "req_midnight",
          ...acme,
          engine: "midnight",
          startedAt: day("07T23:59:59.998"),
          reservedAt: day("08T00:00:00.002"),
        },
        {
          requestId: "req_ahead",
          ...acme,
          engine: "midnight",
          startedAt: day("09T00:00:01.000"),
          reservedAt: day("08T00:00:00.001"),
        },
      ]);
      const eighth = { since: day("08T00:00:00"), until: day("09T00:00:00") };
      const beside = { since: day("07T00:00:00"), until: day("08T00:00:00") };
      expect(await usageByGroup(store, "day", eighth)).toMatchObject([{ day: "2025-03-08", ...sums(2) }]);
      expect(await usageByGroup(store, "day", beside)).toEqual([]);
      expect(await engineTimeByGroup(store, "engine", eighth)).toMatchObject([{ engine: "midnight", ms: 2_000n }]);
      const costs = new Map([["midnight", 3_600_000_000_000n]]);
      const groups = await usageByGroup(store, "engine", eighth);
      expect(await withMadeCost(store, "engine", eighth, groups, costs)).toMatchObject([{ made_usd: "86400.00" }]);
      const { rows } = await usageByRequest(store, eighth, { limit: 10 });
      expect(rows.map(({ request_id, started_at }) => [request_id, started_at])).toEqual([
        ["req_ahead", "2025-03-09T00:00:01.000Z"],
        ["req_midnight", "2025-03-07T23:59:59.998Z"],
      ]);
    });

    it("page through requests that the database settled itself, to its microsecond", async () => {
      const ids = numbered("req_micro_", 5);
      await settleRows(
        store,
        ids.map((requestId) => ({ requestId, ...acme, startedAt: day("17T12:00:00") })),
      );
      await Promise.all(
        ids.map((id, index) =>
          sql`INSERT INTO usage_event SELECT (jsonb_populate_record(u, jsonb_build_object('request_id', ${`${id}x`}::text,
            'reserved_at', ${`2025-03-18T12:00:00.00000${index}Z`}::text))).* FROM usage_event u WHERE u.request_id = ${id}`.execute(
            store.db,
          ),
        ),
      );
      const filter = { since: day("18T00:00:00"), until: day("19T00:00:00") };
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await usageByRequest(store, filter, { limit: 1, after });
        seen.push(...page.rows.map(({ request_id }) => request_id));
        after = page.next ?? undefined;
      } while (after !== undefined);
      expect(seen).toEqual(ids.map((id) => `${id}x`));
    });

    it("are empty where nothing was used", async () => {
      const filter = { since: day("20T00:00:00"), until: day("21T00:00:00") };
      expect(await usageByGroup(store, "tenant", filter)).toEqual([]);
      expect(await usageByRequest(store, filter, { limit: 7 })).toEqual({ rows: [], next: null });
    });
  });
});
