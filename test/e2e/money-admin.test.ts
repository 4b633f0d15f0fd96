/** What administrators see of money, on both stores: terms, credit, prices, budgets, reports and invoices, exact to the ledger. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerAdminKeys } from "../../src/admission/admin-keys.ts";
import { newKey } from "../../src/admission/key-format.ts";
import { type KeyRing, createKeyRing } from "../../src/admission/key-ring.ts";
import { createKeyStore } from "../../src/admission/key-store.ts";
import type { Store } from "../../src/db/open-store.ts";
import { adminApp } from "../../src/routes/admin.ts";
import { charge, priceFrom } from "../support/charged.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const PEPPER = Buffer.alloc(32, 9);
const ADMIN_KEY = newKey("admin");

type Json = Record<string, any>;

async function asker(store: Store, ring: KeyRing, unknownSince?: (tenantId: string) => Date | undefined) {
  const app = adminApp({
    store,
    keyRing: ring,
    adminKeys: await registerAdminKeys(store, PEPPER, [{ name: "test", secret: ADMIN_KEY }]),
    pepper: PEPPER,
    ...(unknownSince !== undefined && { unknownSince }),
    engineCosts: new Map([["engine-1", 7_200_000_000n]]),
    issuer: { name: "Ingots & <Sons>", lines: ["1 Foundry Road"] },
  });
  return async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await app.request(`/admin/v1${path}`, {
      method,
      headers: { "x-api-key": ADMIN_KEY, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, headers: response.headers, text, body: (json ? JSON.parse(text) : {}) as Json };
  };
}

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("money for administrators on $kind", ({ open }) => {
  let test: TestStore;
  let ring: KeyRing;
  let ask: Awaited<ReturnType<typeof asker>>;
  const rows = async <T>(query: ReturnType<typeof sql<T>>) => (await query.execute(test.store.db)).rows;

  beforeAll(async () => {
    test = await open();
    ring = createKeyRing(createKeyStore(test.store), PEPPER);
    ask = await asker(test.store, ring);
  });
  afterAll(async () => {
    await ring.close();
    await test.dispose();
  });

  describe("terms and credit", () => {
    it("makes tenants on terms, postpaid without a limit unless told", async () => {
      const prepaid = await ask("POST", "/tenants", { name: "pre", terms: "prepaid" });
      expect([prepaid.status, prepaid.body]).toMatchObject([
        201,
        { terms: "prepaid", credit_limit_usd: null, balance_usd: "0.00" },
      ]);
      const limited = await ask("POST", "/tenants", { name: "post", terms: "postpaid", credit_limit_usd: "12.50" });
      expect(limited.body).toMatchObject({ terms: "postpaid", credit_limit_usd: "12.50", held_usd: "0.00" });
      expect((await ask("POST", "/tenants", { name: "plain" })).body).toMatchObject({
        terms: "postpaid",
        credit_limit_usd: null,
      });
      const floors = await rows(sql<{ name: string; floor: bigint | null }>`
        SELECT t.name, a.floor FROM tenant t JOIN account a ON a.tenant_id = t.id ORDER BY t.name`);
      expect(floors).toEqual([
        { name: "plain", floor: null },
        { name: "post", floor: -12_500_000_000n },
        { name: "pre", floor: 0n },
      ]);
    });

    it.each([
      [{ name: "bad", terms: "prepaid", credit_limit_usd: "1" }, "credit_limit_usd"],
      [{ name: "bad", credit_limit_usd: "1" }, "credit_limit_usd"],
      [{ name: "bad", terms: "postpaid", credit_limit_usd: "-1" }, "credit limit"],
      [{ name: "bad", terms: "postpaid", credit_limit_usd: "1e3" }, "1e3"],
      [{ name: "bad", terms: "monthly" }, "terms"],
    ])("refuses %o and makes nothing", async (body, word) => {
      const answer = await ask("POST", "/tenants", body);
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer.body)).toContain(word.split("_")[0]);
      expect((await ask("GET", "/tenants")).body["data"].map((each: Json) => each["name"])).not.toContain("bad");
    });

    it("credits a tenant, exact and once a key, in entries that sum to zero", async () => {
      const once = { "idempotency-key": "payment-1" };
      const first = await ask("POST", "/tenants/pre/credits", { amount_usd: "50.000000001", note: "Invoice 7" }, once);
      expect([first.status, first.body]).toMatchObject([
        201,
        { amount_usd: "50.000000001", balance_usd: "50.000000001", note: "Invoice 7" },
      ]);
      const again = await ask("POST", "/tenants/pre/credits", { amount_usd: "50.000000001" }, once);
      expect(again.body).toMatchObject({ id: first.body["id"], balance_usd: "50.000000001" });
      const said = await rows(sql<Json>`SELECT detail FROM audit_log WHERE action = 'tenant.credit'`);
      expect(said.map(({ detail }) => detail)).toEqual([
        { credit: first.body["id"], amount_usd: "50.000000001", note: "Invoice 7" },
      ]);
      expect((await ask("POST", "/tenants/pre/credits", { amount_usd: "51" }, once)).status).toBe(400);
      expect((await ask("POST", "/tenants/pre/credits", { amount_usd: "-0.000000001" })).body).toMatchObject({
        balance_usd: "50.00",
      });
      const sums = await rows(sql<{ count: bigint; sum: bigint }>`
        SELECT count(*), sum(amount)::bigint AS sum FROM ledger_entry WHERE kind = 'credit' GROUP BY transaction_id`);
      expect(sums).toEqual([
        { count: 2n, sum: 0n },
        { count: 2n, sum: 0n },
      ]);
    });

    it("loses none of many credits at once", async () => {
      await ask("POST", "/tenants", { name: "busy", terms: "prepaid" });
      await Promise.all(Array.from({ length: 40 }, () => ask("POST", "/tenants/busy/credits", { amount_usd: "0.10" })));
      const { body } = await ask("GET", "/tenants");
      expect(body["data"].find((each: Json) => each["name"] === "busy")["balance_usd"]).toBe("4.00");
    });

    it.each([["0"], ["1.0000000001"], ["ten"], ["99999999999"], [""]])("refuses a credit of %o", async (amount_usd) => {
      expect((await ask("POST", "/tenants/pre/credits", { amount_usd })).status).toBe(400);
      expect((await ask("POST", "/tenants/nobody/credits", { amount_usd: "1" })).status).toBe(404);
    });

    it("takes no balance to where sums of the ledger do not fit", async () => {
      const most = "999999999.999999999";
      await ask("POST", "/tenants", { name: "rich", terms: "postpaid", credit_limit_usd: most });
      const { id } = (await ask("GET", "/tenants")).body["data"].find((each: Json) => each["name"] === "rich");
      const pay = async (amount_usd: string) => (await ask("POST", "/tenants/rich/credits", { amount_usd })).body;
      expect(await pay(most)).toMatchObject({ balance_usd: most });
      expect(await pay("0.000000001")).toMatchObject({
        error: {
          code: "invalid_request",
          message: `the balance would be USD 1000000000.00; it can be USD ${most} at most, above or below zero`,
        },
      });
      const [left] = await rows(
        sql<Json>`SELECT balance - held - floor AS unspent FROM account WHERE tenant_id = ${id}`,
      );
      expect(left).toEqual({ unspent: 1_999_999_999_999_999_998n });
      expect(await pay(`-${most}`)).toMatchObject({ balance_usd: "0.00" });
      expect(await pay(`-${most}`)).toMatchObject({ balance_usd: `-${most}` });
      expect(await pay("-0.01")).toMatchObject({ error: { code: "invalid_request" } });
    });

    it("changes terms and says so in the audit log", async () => {
      const changed = await ask("POST", "/tenants/plain/terms", { terms: "prepaid" });
      expect(changed.body).toMatchObject({ name: "plain", terms: "prepaid" });
      const [entry] = await rows(
        sql<Json>`SELECT actor, subject, detail FROM audit_log WHERE action = 'tenant.terms' ORDER BY id DESC LIMIT 1`,
      );
      expect(entry).toMatchObject({ actor: expect.stringMatching(/^adm_/), detail: { terms: "prepaid" } });
    });
  });

  describe("prices", () => {
    const body = { model: "qwen", input_usd: "0.60", cache_read_usd: "0.06", output_usd: "2.4" };

    it("reads USD a million tokens exactly, as text and never as a float", async () => {
      const made = await ask("POST", "/prices", { ...body, output_usd: "2.400001" });
      expect([made.status, made.body]).toMatchObject([
        201,
        { input_usd: "0.60", cache_read_usd: "0.06", cache_write_usd: "0.60", output_usd: "2.400001" },
      ]);
      const [row] = await rows(
        sql<Json>`SELECT input_uncached, cache_read, cache_write, output FROM price_version WHERE model = 'qwen'`,
      );
      expect(row).toEqual({ input_uncached: 600_000n, cache_read: 60_000n, cache_write: 600_000n, output: 2_400_001n });
    });

    it.each([
      ["output_usd", 2.4],
      ["output_usd", "2.4000001"],
      ["input_usd", "-1"],
      ["input_usd", "1000.000001"],
      ["input_usd", "1,5"],
      ["valid_from", "2020-01-01T00:00:00Z"],
      ["valid_from", "tomorrow"],
      ["model", ""],
    ])("refuses %s %o", async (field, value) => {
      expect((await ask("POST", "/prices", { ...body, [field]: value })).status).toBe(400);
    });

    it("lists what is valid at a time, and keeps history", async () => {
      const later = "2999-01-01T00:00:00.000Z";
      await ask("POST", "/prices", { ...body, input_usd: "1", valid_from: later });
      expect((await ask("POST", "/prices", { ...body, input_usd: "2", valid_from: later })).status).toBe(400);
      const now = (await ask("GET", "/prices")).body["data"];
      expect(now).toMatchObject([{ model: "qwen", input_usd: "0.60" }]);
      expect((await ask("GET", `/prices?at=${later}`)).body["data"]).toMatchObject([{ input_usd: "1.00" }]);
      expect(
        (await ask("GET", "/prices/history?model=qwen")).body["data"].map((each: Json) => each["input_usd"]),
      ).toEqual(["1.00", "0.60"]);
      expect((await ask("GET", "/prices/history?model=other")).body["data"]).toEqual([]);
    });

    it("refuses one of a moment ago that another has followed: it would never be asked", async () => {
      const price = { model: "corrected", input_usd: "6", cache_read_usd: "0", output_usd: "9" };
      const wrong = await ask("POST", "/prices", price);
      const ago = new Date(Date.now() - 30_000).toISOString();
      const { status, body } = await ask("POST", "/prices", { ...price, input_usd: "0.6", valid_from: ago });
      expect([status, body["error"].message]).toEqual([400, expect.stringContaining(wrong.body["valid_from"])]);
      expect((await ask("GET", "/prices/history?model=corrected")).body["data"]).toMatchObject([{ input_usd: "6.00" }]);
      expect((await ask("POST", "/prices", { ...price, input_usd: "0.6" })).status).toBe(201);
      const { data } = (await ask("GET", "/prices")).body as Json;
      expect(data.find(({ model }: Json) => model === "corrected")).toMatchObject({ input_usd: "0.60" });
    });
  });

  describe("budgets", () => {
    it("counts what was spent before a budget was set, of tenant and of key", async () => {
      await priceFrom(test.store, "metal", "2026-01-01", [1_000_000, 100_000, 1_000_000, 4_000_000]);
      const one = (await ask("POST", "/keys", { tenant: "smith", name: "one" })).body;
      const two = (await ask("POST", "/keys", { tenant: "smith", name: "two" })).body;
      const of = {
        tenantId: one["tenant_id"],
        model: "metal",
        usage: { inputUncached: 1_000_000, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      };
      await charge(test.store, [
        { ...of, requestId: "req_smith_1", keyId: one["id"] },
        { ...of, requestId: "req_smith_2", keyId: two["id"] },
        { ...of, requestId: "req_smith_old", keyId: two["id"], reservedAt: new Date("2026-01-02T00:00:00Z") },
      ]);
      const tenant = await ask("POST", "/budgets", { tenant: "smith", period: "month", amount_usd: "20" });
      expect([tenant.status, tenant.body]).toMatchObject([
        200,
        { id: expect.stringMatching(/^bud_/), spent_usd: "2.00", amount_usd: "20.00" },
      ]);
      const key = await ask("POST", "/budgets", { key: one["id"], period: "day", amount_usd: "5.25" });
      expect(key.body).toMatchObject({ key: "one", key_id: one["id"], spent_usd: "1.00" });
      await charge(test.store, [{ ...of, requestId: "req_smith_3", keyId: one["id"] }]);
      expect((await ask("GET", "/budgets?tenant=smith")).body["data"]).toMatchObject([
        { tenant: "smith", key_id: null, period: "month", spent_usd: "3.00" },
        { key_id: one["id"], period: "day", spent_usd: "2.00" },
      ]);
    });

    it("changes one in place and removes it, each in the audit log with what it was", async () => {
      const changed = (await ask("POST", "/budgets", { tenant: "smith", period: "month", amount_usd: "30" })).body;
      expect(changed).toMatchObject({ amount_usd: "30.00", spent_usd: "3.00" });
      expect((await ask("POST", `/budgets/${changed["id"]}/remove`, {})).body).toMatchObject({ id: changed["id"] });
      expect((await ask("POST", `/budgets/${changed["id"]}/remove`, {})).status).toBe(404);
      expect((await ask("GET", "/budgets")).body["data"]).toHaveLength(1);
      const log = await rows(
        sql<Json>`SELECT action, detail FROM audit_log WHERE subject = ${changed["id"]} ORDER BY id`,
      );
      expect(log).toMatchObject([
        { action: "budget.set", detail: { before_usd: null, amount_usd: "20.00" } },
        { action: "budget.set", detail: { before_usd: "20.00", amount_usd: "30.00" } },
        { action: "budget.remove", detail: { before_usd: "30.00", amount_usd: null } },
      ]);
    });

    it.each([
      [{ tenant: "smith", key: "key_x", period: "day", amount_usd: "1" }, 400],
      [{ period: "day", amount_usd: "1" }, 400],
      [{ tenant: "smith", period: "year", amount_usd: "1" }, 400],
      [{ tenant: "smith", period: "day", amount_usd: "0.001" }, 400],
      [{ tenant: "smith", period: "day", amount_usd: "-1" }, 400],
      [{ tenant: "nobody", period: "day", amount_usd: "1" }, 404],
      [{ key: "key_nobody", period: "day", amount_usd: "1" }, 404],
    ])("answers %o with %i", async (body, status) => {
      expect((await ask("POST", "/budgets", body)).status).toBe(status);
    });
  });

  describe("invoices", () => {
    beforeAll(async () => {
      const key = (await ask("POST", "/keys", { tenant: "acme inc", name: "ci" })).body;
      const of = { tenantId: key["tenant_id"], keyId: key["id"] };
      await priceFrom(test.store, "big", "2026-01-01", [600_001, 60_000, 600_001, 2_400_003]);
      await priceFrom(test.store, "big", "2026-03-15", [700_000, 70_000, 700_000, 2_800_000]);
      const usage = { inputUncached: 333, cacheRead: 12_007, cacheWrite: 0, output: 101, reasoning: 7 };
      const at = (time: string): Date => new Date(time);
      await charge(test.store, [
        ...Array.from({ length: 7 }, (_unused, n) => ({
          ...of,
          requestId: `req_m_${n}`,
          model: "big",
          usage,
          reservedAt: at("2026-03-01T00:00:00Z"),
        })),
        { ...of, requestId: "req_m_new", model: "big", usage, reservedAt: at("2026-03-31T23:59:59.999Z") },
        { ...of, requestId: "req_m_free", model: "unpriced", usage, reservedAt: at("2026-03-02T00:00:00Z") },
        {
          ...of,
          requestId: "req_m_void",
          model: "big",
          usage,
          reservedAt: at("2026-03-02T00:00:00Z"),
          billed: false,
          outcome: "error",
        },
        { ...of, requestId: "req_m_before", model: "big", usage, reservedAt: at("2026-02-28T23:59:59.999Z") },
        { ...of, requestId: "req_m_after", model: "big", usage, reservedAt: at("2026-04-01T00:00:00Z") },
      ]);
    });

    it("adds up: lines exact, one rounding, the total from the ledger's own entries", async () => {
      const { status, body } = await ask("GET", "/invoices?tenant=acme inc&month=2026-03");
      expect([status, body]).toMatchObject([
        200,
        { status: "final", requests: 10, uncharged_requests: 2, tenant: "acme inc" },
      ]);
      expect(body["lines"]).toEqual([
        {
          model: "big",
          token_class: "input_uncached",
          tokens: 7 * 333,
          price_per_million_usd: "0.600001",
          amount_usd: "0.001398602331",
        },
        {
          model: "big",
          token_class: "cache_read",
          tokens: 7 * 12_007,
          price_per_million_usd: "0.06",
          amount_usd: "0.00504294",
        },
        {
          model: "big",
          token_class: "output",
          tokens: 7 * 101,
          price_per_million_usd: "2.400003",
          amount_usd: "0.001696802121",
        },
        {
          model: "big",
          token_class: "input_uncached",
          tokens: 333,
          price_per_million_usd: "0.70",
          amount_usd: "0.0002331",
        },
        {
          model: "big",
          token_class: "cache_read",
          tokens: 12_007,
          price_per_million_usd: "0.07",
          amount_usd: "0.00084049",
        },
        { model: "big", token_class: "output", tokens: 101, price_per_million_usd: "2.80", amount_usd: "0.0002828" },
      ]);
      // One request at the old price is 1,162,620.636 nano-USD, charged as 1,162,621.
      expect(body["ledger_usd"]).toBe("0.009494737");
      expect(body["subtotal_usd"]).toBe("0.009494734452");
      expect(body["total_usd"]).toBe("0.01");
      expect(body["rounding_usd"]).toBe("0.000505265548");
      const [entered] = await rows(sql<{ sum: bigint }>`
        SELECT -sum(e.amount)::bigint AS sum FROM ledger_entry e JOIN account a ON a.id = e.account_id JOIN tenant t ON t.id = a.tenant_id
        WHERE t.name = 'acme inc' AND e.transaction_id IN (SELECT request_id FROM usage_event WHERE reserved_at >= '2026-03-01Z' AND reserved_at < '2026-04-01Z')`);
      expect(entered).toEqual({ sum: 9_494_737n });
    });

    it("writes the same as CSV and as a page that runs and loads nothing", async () => {
      const asCsv = await ask("GET", "/invoices?tenant=acme inc&month=2026-03&format=csv");
      expect(asCsv.headers.get("content-type")).toBe("text/csv; charset=utf-8");
      const lines = asCsv.text.split("\r\n");
      expect(lines).toHaveLength(1 + 6 + 3 + 1);
      expect(lines[7]).toMatch(/,subtotal,,,0\.009494734452,final,,$/);
      const page = await ask("GET", "/invoices?tenant=acme inc&month=2026-03&format=html");
      expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(page.text).toContain("Ingots &amp; &lt;Sons&gt;");
      expect(page.text).toContain("USD 0.01");
      expect(page.text).toContain("<p>2 of the requests were not charged: ");
      expect(page.text).not.toContain("prepaid");
      expect(page.text).not.toMatch(/<script|https?:|@import|url\(/);
    });

    it("is preliminary while its month runs, and empty without usage", async () => {
      const month = new Date().toISOString().slice(0, 7);
      expect((await ask("GET", `/invoices?tenant=smith&month=${month}`)).body).toMatchObject({
        status: "preliminary",
        total_usd: "3.00",
      });
      expect((await ask("GET", "/invoices?tenant=smith&month=2025-01")).body).toMatchObject({
        lines: [],
        total_usd: "0.00",
        ledger_usd: "0.00",
      });
    });

    it("tells what was taken from credit and what was paid in, to its last digit", async () => {
      await ask("POST", "/tenants", { name: "payer", terms: "prepaid" });
      await ask("POST", "/tenants/payer/credits", { amount_usd: "5", note: "transfer 4711" });
      await ask("POST", "/tenants/payer/credits", { amount_usd: "-0.25" });
      const { body: key } = await ask("POST", "/keys", { tenant: "payer" });
      const usage = { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 35_893, reasoning: 0 };
      const of = { tenantId: key["tenant_id"], keyId: key["id"], requestId: "req_p_1" };
      await charge(test.store, [{ ...of, model: "big", usage }]);
      const day = new Date().toISOString().slice(0, 10);
      const path = `/invoices?tenant=payer&month=${day.slice(0, 7)}`;
      const page = (await ask("GET", `${path}&format=html`)).text
        .replaceAll(/<[^>]+>/g, "|")
        .replaceAll(/[|\n]+/g, "|");
      expect(page).toContain("|Total|USD 0.10|");
      expect(page).toContain(
        "|Balance before|0.0000000|Paid in|4.7500000|Charged|\u22120.1005004|Balance after|4.6494996|",
      );
      const asCsv = (await ask("GET", `${path}&format=csv`)).text.split("\r\n");
      expect(asCsv[0]).toMatch(/,amount_usd,status,date,note$/);
      expect(asCsv.slice(-6, -1).map((line) => line.split(",").slice(3).join(","))).toEqual([
        ",total,,,0.10,preliminary,,",
        `,credit,,,5.00,preliminary,${day},transfer 4711`,
        `,credit,,,-0.25,preliminary,${day},`,
        ",balance before,,,0.00,preliminary,,",
        ",balance after,,,4.6494996,preliminary,,",
      ]);
      expect((await ask("GET", "/tenants")).text).toContain('"balance_usd":"4.6494996"');
    });

    it("goes on from the balance of the month before, whatever terms were agreed since", async () => {
      await ask("POST", "/tenants", { name: "turned", terms: "prepaid" });
      await ask("POST", "/tenants/turned/credits", { amount_usd: "1" });
      const { body: key } = await ask("POST", "/keys", { tenant: "turned" });
      const of = { tenantId: key["tenant_id"], keyId: key["id"], model: "big" };
      const usage = { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 100_000, reasoning: 0 };
      const at = (time: string, requestId: string) => ({ ...of, requestId, usage, reservedAt: new Date(time) });
      await charge(test.store, [at("2026-03-31T23:59:59.999Z", "req_t_1"), at("2026-04-01T00:00:00Z", "req_t_2")]);
      await ask("POST", "/tenants/turned/terms", { terms: "postpaid" });
      const account = async (month: string) =>
        (await ask("GET", `/invoices?tenant=turned&month=${month}`)).body["account"];
      // Paid in today, used in the months before.
      const month = new Date().toISOString().slice(0, 7);
      expect(await account("2026-03")).toBeNull();
      expect(await account(month)).toEqual({
        opening_usd: "-0.56",
        paid_in_usd: "1.00",
        charged_usd: "0.00",
        closing_usd: "0.44",
      });
    });

    it("is preliminary until what was recovered got its own truth, or a day to get it", async () => {
      const { body: key } = await ask("POST", "/keys", { tenant: "recovered" });
      const request = (requestId: string, outcome: "recovered" | "ok", output: number) => ({
        requestId,
        outcome,
        tenantId: key["tenant_id"],
        keyId: key["id"],
        model: "big",
        usage: { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output, reasoning: 0 },
        reservedAt: new Date("2026-03-31T23:59:00Z"),
      });
      const invoice = async () => {
        const { body } = await ask("GET", "/invoices?tenant=recovered&month=2026-03");
        return [body["status"], body["ledger_usd"]];
      };
      await charge(test.store, [request("req_r_1", "recovered", 1_000)]);
      expect(await invoice()).toEqual(["preliminary", "0.0028"]);
      expect((await ask("GET", "/invoices?tenant=recovered&month=2026-04")).body["status"]).toBe("final");
      await charge(test.store, [request("req_r_1", "ok", 2_000)]);
      expect(await invoice()).toEqual(["final", "0.0056"]);
      await charge(test.store, [request("req_r_2", "recovered", 1_000)]);
      expect(await invoice()).toEqual(["preliminary", "0.0084"]);
      await test.store.db.transaction().execute(async (trx) => {
        await sql`ALTER TABLE usage_event DISABLE TRIGGER usage_event_written_once`.execute(trx);
        await sql`UPDATE usage_event SET recorded_at = now() - interval '25 hours' WHERE request_id = 'req_r_2'`.execute(
          trx,
        );
        await sql`ALTER TABLE usage_event ENABLE TRIGGER usage_event_written_once`.execute(trx);
      });
      expect(await invoice()).toEqual(["final", "0.0084"]);
    });

    it("is preliminary while a request of its month runs that the database does not know of", async () => {
      const { body: tenant } = await ask("POST", "/tenants", { name: "unheld" });
      const since = new Date("2026-03-31T23:59:59.999Z");
      const asking = await asker(test.store, ring, (id) => (id === tenant["id"] ? since : undefined));
      const status = async (of: string, month: string) =>
        (await asking("GET", `/invoices?tenant=${of}&month=${month}`)).body["status"];
      expect([await status("unheld", "2026-02"), await status("unheld", "2026-03")]).toEqual(["final", "preliminary"]);
      await ask("POST", "/tenants", { name: "of nothing unheld" });
      expect(await status("of nothing unheld", "2026-03")).toBe("final");
    });

    it("is drawn up also where an engine counted beyond all sense", async () => {
      const { body: key } = await ask("POST", "/keys", { tenant: "nonsense" });
      const usage = { inputUncached: 9e11, cacheRead: 0, cacheWrite: 0, output: 9e11, reasoning: 0 };
      const reservedAt = new Date("2026-03-20T00:00:00Z");
      const of = { tenantId: key["tenant_id"], keyId: key["id"], requestId: "req_m_mad" };
      await charge(test.store, [{ ...of, model: "unpriced", usage, reservedAt }]);
      expect((await ask("GET", "/invoices?tenant=nonsense&month=2026-03")).body).toMatchObject({
        uncharged_requests: 1,
        total_usd: "0.00",
      });
    });

    it("stands on the terms on which its month ended, whatever is agreed later", async () => {
      const { body } = await ask("POST", "/tenants", { name: "terms" });
      // As if agreed back then: only what the log itself writes has the time of now.
      for (const [at, terms] of [
        ["2026-04-30T23:59:59.999Z", "prepaid"],
        ["2026-05-31T00:00:00Z", "postpaid"],
        ["2026-06-01T00:00:00Z", "prepaid"],
      ])
        await sql`INSERT INTO audit_log (at, actor, action, subject, detail)
          VALUES (${at}::timestamptz, 'test', 'tenant.terms', ${body["id"]}, ${JSON.stringify({ terms, credit_limit_usd: null })})`.execute(
          test.store.db,
        );
      await ask("POST", "/tenants/terms/terms", { terms: "prepaid" });
      const months = ["2026-03", "2026-04", "2026-05", "2026-06", new Date().toISOString().slice(0, 7)];
      const found: string[] = [];
      for (const month of months)
        found.push((await ask("GET", `/invoices?tenant=terms&month=${month}`)).body["terms"] as string);
      expect(found).toEqual(["postpaid", "prepaid", "postpaid", "prepaid", "prepaid"]);
    });

    it.each([
      ["/invoices?tenant=nobody&month=2026-03", 404],
      ["/invoices?tenant=smith&month=2026-13", 400],
      ["/invoices?tenant=smith&month=March", 400],
      ["/invoices?tenant=smith", 400],
      ["/invoices?tenant=smith&month=2026-03&format=pdf", 400],
    ])("answers %s with %i", async (path, status) => {
      expect((await ask("GET", path)).status).toBe(status);
    });
  });

  it("shows what usage cost beside what it cost to make and what the cache saved", async () => {
    const { body } = await ask(
      "GET",
      "/usage?tenant=acme inc&since=2026-03-01T00:00:00Z&until=2026-04-01T00:00:00Z&by=model",
    );
    const big = body["data"].find((each: Json) => each["model"] === "big");
    expect(big).toMatchObject({ requests: 9, cost_usd: "0.009494737", made_usd: null });
    // 12,007 tokens at 0.540001 USD a million, seven times, and once at 0.63.
    expect(big["cache_saved_usd"]).toBe("0.052950954");
    const requests = await ask("GET", "/usage?by=request&tenant=acme inc");
    expect(requests.body["data"].map((each: Json) => each["cost_usd"])).toContain("0.001162621");
  });

  it("shares an engine's cost an hour by the time that requests took", async () => {
    const key = (await ask("POST", "/keys", { tenant: "costly" })).body;
    const of = {
      tenantId: key["tenant_id"],
      keyId: key["id"],
      model: "metal",
      engine: "engine-1",
      reservedAt: new Date("2026-05-01T10:30:00Z"),
    };
    const usage = { inputUncached: 500_000, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
    await charge(test.store, [
      { ...of, requestId: "req_c_1", usage, durationMs: 3_000, session: "a" },
      { ...of, requestId: "req_c_2", usage, durationMs: 1_000, session: "b" },
    ]);
    const span = "since=2026-05-01T10:00:00Z&until=2026-05-01T12:00:00Z";
    const engines = (await ask("GET", `/usage?by=engine&${span}`)).body["data"];
    expect(engines).toMatchObject([
      {
        engine: "engine-1",
        cost_usd: "1.00",
        made_usd: "14.40",
        sold_per_million_usd: "1.00",
        made_per_million_usd: "14.40",
      },
    ]);
    const sessions = (await ask("GET", `/usage?by=session&${span}`)).body["data"];
    expect(sessions.map((each: Json) => [each["session"], each["made_usd"]])).toEqual([
      ["a", "10.80"],
      ["b", "3.60"],
    ]);

    // Of tokens that come from an engine without a cost too, only the others were made for it.
    await charge(test.store, [{ ...of, engine: "engine-2", requestId: "req_c_3", usage, durationMs: 9_000 }]);
    expect((await ask("GET", `/usage?by=model&${span}`)).body["data"]).toMatchObject([
      {
        model: "metal",
        input_uncached: 1_500_000,
        made_usd: "14.40",
        made_tokens: 1_000_000,
        made_per_million_usd: "14.40",
      },
    ]);
  });

  it("shows what an engine costs that had nothing to do", async () => {
    const span = "since=2026-05-02T10:00:00Z&until=2026-05-02T12:00:00Z";
    expect((await ask("GET", `/usage?by=engine&${span}`)).body["data"]).toEqual([
      {
        engine: "engine-1",
        requests: 0,
        not_ok: 0,
        input_uncached: 0,
        cache_read: 0,
        cache_write: 0,
        output: 0,
        reasoning: 0,
        cost_usd: "0.00",
        cache_saved_usd: "0.00",
        made_usd: "14.40",
        made_tokens: 0,
        sold_per_million_usd: null,
        made_per_million_usd: null,
      },
    ]);
    const { body } = await ask("GET", `/usage?by=engine&tenant=costly&${span}`);
    expect(body["data"]).toEqual([]);
  });
});
