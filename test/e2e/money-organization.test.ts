/** Anthropic's Admin API on both stores, as its own SDK reads it; who may call what; what a tenant's key and Claude Code see. */
import { readFileSync } from "node:fs";
import Anthropic from "@anthropic-ai/sdk";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerAdminKeys } from "../../src/admission/admin-keys.ts";
import { newKey } from "../../src/admission/key-format.ts";
import { type KeyRing, createKeyRing } from "../../src/admission/key-ring.ts";
import { createKeyStore } from "../../src/admission/key-store.ts";
import { type AdminOptions, adminApp } from "../../src/routes/admin.ts";
import { ANSWERS } from "../../src/routes/openapi-answers.ts";
import { OPERATIONS } from "../../src/routes/openapi.ts";
import { organizationApp } from "../../src/routes/organization.ts";
import { charge, priceFrom } from "../support/charged.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const PEPPER = Buffer.alloc(32, 9);
const ADMIN_KEY = newKey("admin");
const BASE = "http://gateway.test";

type Json = Record<string, any>;

async function collect<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of pages) all.push(each);
  return all;
}

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("organization API on $kind", ({ open }) => {
  let test: TestStore;
  let ring: KeyRing;
  let client: Anthropic;
  let key: Json;
  let options: AdminOptions;
  let ask: (
    method: string,
    path: string,
    sent?: { key?: string; body?: unknown },
  ) => Promise<{ status: number; headers: Headers; body: Json }>;

  beforeAll(async () => {
    test = await open();
    ring = createKeyRing(createKeyStore(test.store), PEPPER);
    const adminKeys = await registerAdminKeys(test.store, PEPPER, [{ name: "test", secret: ADMIN_KEY }]);
    options = { store: test.store, keyRing: ring, adminKeys, pepper: PEPPER };
    const [organization, admin] = [organizationApp(options), adminApp(options)];
    const route = async (url: string, init?: RequestInit): Promise<Response> =>
      new URL(url).pathname.startsWith("/admin/v1/") ? admin.request(url, init) : organization.request(url, init);
    ask = async (method, path, { key: secret = ADMIN_KEY, body } = {}) => {
      const response = await route(`${BASE}${path}`, {
        method,
        headers: { "x-api-key": secret },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: response.status, headers: response.headers, body: (await response.json()) as Json };
    };
    client = new Anthropic({
      apiKey: ADMIN_KEY,
      authToken: null,
      baseURL: BASE,
      maxRetries: 0,
      fetch: (url, init) => route(String(url instanceof Request ? url.url : url), init as RequestInit),
    });
    key = (await ask("POST", "/admin/v1/keys", { body: { tenant: "acme", name: "ci" } })).body;
    await priceFrom(test.store, "m", "2026-01-01", [600_000, 60_000, 600_000, 2_400_000]);
    await priceFrom(test.store, "n", "2026-01-01", [1_000_000_000, 0, 0, 0]);
  });
  afterAll(async () => {
    await ring.close();
    await test.dispose();
  });

  it("describes every route that there is, and none that is not", () => {
    const served = [organizationApp(options), adminApp(options)]
      .flatMap((app) => app.routes)
      .filter((route) => route.method !== "ALL" && route.path !== "/admin/openapi.json")
      .map((route) => `${route.method.toLowerCase()} ${route.path.replaceAll(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
    expect(new Set(served)).toEqual(new Set(Object.keys(OPERATIONS)));
  });

  it("serves its description to anybody, the same as in docs/", async () => {
    const { status, body } = await ask("GET", "/admin/openapi.json", { key: "" });
    expect([status, body]).toEqual([200, JSON.parse(readFileSync("docs/openapi.json", "utf8"))]);
  });

  it.each([
    ["GET", "/usage_report/messages?starting_at=0000-01-01T00:00:00Z"],
    ["GET", "/usage_report/messages?starting_at=9999-12-31T23:59:59-23:59"],
    ["GET", "/cost_report?starting_at=0000-01-01T00:00:00Z"],
    ["GET", "/cost_report?starting_at=9999-12-31T23:59:59-23:59"],
    ["GET", "/cost_report?starting_at=9999-12-31T00:00:00Z&ending_at=9999-12-31T23:59:59Z"],
    ["GET", "/cost_report?starting_at=2026-11-20T00:00:00Z&page=page_864000000000000"],
    ["POST", "/workspaces/a%00b", { name: "zz" }],
    ["POST", "/workspaces/a%00b/archive", undefined],
    ["POST", "/spend_limits", { scope: { type: "workspace", workspace_id: "a\0b" }, amount: "5" }],
    ["POST", "/spend_limits", { scope: { type: "api_key", api_key_id: "a\0b" }, amount: "5" }],
  ])("refuses %s %s %o", async (method, path, body?) => {
    expect(await ask(method, `/v1/organizations${path}`, { body })).toMatchObject({
      status: 400,
      body: { error: { type: "invalid_request_error" } },
    });
  });

  describe("workspaces and keys", () => {
    it("are made, paged, renamed and archived by the official SDK", async () => {
      const { workspaces } = client.beta.organization;
      const made = await workspaces.create({ name: "north" });
      ANSWERS.Workspace.parse(JSON.parse(JSON.stringify(made)));
      expect(made).toMatchObject({ type: "workspace", name: "north", archived_at: null });
      for (let n = 0; n < 5; n++) await workspaces.create({ name: `page-${n}` });
      const names = (await collect(workspaces.list({ limit: 2 }))).map((each) => each.name);
      expect(names).toEqual(["acme", "north", "page-0", "page-1", "page-2", "page-3", "page-4"]);
      const back = await workspaces.list({ limit: 2, before_id: made.id });
      expect([back.data.map((each) => each.name), back.has_more]).toEqual([["acme"], false]);
      expect(await workspaces.update(made.id, { name: "south" })).toMatchObject({ id: made.id, name: "south" });
      await expect(workspaces.update(made.id, { name: "acme" })).rejects.toMatchObject({ status: 400 });
      const archived = await workspaces.archive(made.id);
      expect(archived.archived_at).toEqual(expect.any(String));
      expect((await collect(workspaces.list())).map((each) => each.id)).not.toContain(made.id);
      expect((await collect(workspaces.list({ include_archived: true }))).map((each) => each.id)).toContain(made.id);
      await expect(workspaces.retrieve("ten_nobody")).rejects.toMatchObject({ status: 404, type: "not_found_error" });
    });

    it("archive a key for good, and a workspace's keys with it", async () => {
      const { apiKeys, workspaces } = client.beta.organization;
      const made = (await ask("POST", "/admin/v1/keys", { body: { tenant: "brief", name: "one" } })).body;
      const other = (await ask("POST", "/admin/v1/keys", { body: { tenant: "brief", name: "two" } })).body;
      const [listed] = await collect(apiKeys.list({ workspace_id: made["tenant_id"], limit: 1 }));
      ANSWERS.ApiKey.parse(JSON.parse(JSON.stringify(listed)));
      expect(listed).toMatchObject({ id: made["id"], status: "active", scope: { workspace_id: made["tenant_id"] } });
      expect(JSON.stringify(listed)).not.toContain(made["key"]);
      expect(await apiKeys.update(made["id"], { name: "uno" })).toMatchObject({ name: "uno" });
      await expect(apiKeys.update(made["id"], { status: "inactive" })).rejects.toMatchObject({ status: 400 });
      expect(await ring.authenticate(made["key"])).toMatchObject({ keyId: made["id"] });
      expect(await apiKeys.update(made["id"], { status: "archived" })).toMatchObject({ status: "archived" });
      expect(() => ring.authenticate(made["key"])).toThrow(expect.objectContaining({ code: "unknown_key" }));
      expect(await ring.authenticate(other["key"])).toMatchObject({ keyId: other["id"] });
      await workspaces.archive(made["tenant_id"]);
      expect(() => ring.authenticate(other["key"])).toThrow(expect.objectContaining({ code: "unknown_key" }));
      expect(await collect(apiKeys.list({ workspace_id: made["tenant_id"], status: "archived" }))).toHaveLength(2);
      expect(await collect(apiKeys.list({ workspace_id: made["tenant_id"], status: "active" }))).toEqual([]);
      expect(await apiKeys.retrieve(other["id"])).toMatchObject({ status: "archived" });
    });
  });

  describe("reports", () => {
    const usage = (inputUncached: number, cacheRead: number, output: number) => ({
      inputUncached,
      cacheRead,
      cacheWrite: 0,
      output,
      reasoning: 0,
    });
    beforeAll(async () => {
      const of = { tenantId: key["tenant_id"], keyId: key["id"] };
      const other = (await ask("POST", "/admin/v1/keys", { body: { tenant: "other" } })).body;
      await charge(test.store, [
        {
          ...of,
          requestId: "req_r1",
          model: "m",
          usage: usage(1_000, 9_000, 100),
          reservedAt: new Date("2026-03-01T00:10:59Z"),
        },
        {
          ...of,
          requestId: "req_r2",
          model: "m",
          usage: usage(10, 20, 30),
          reservedAt: new Date("2026-03-01T23:59:59.999Z"),
        },
        { ...of, requestId: "req_r3", model: "n", usage: usage(7, 0, 0), reservedAt: new Date("2026-03-03T12:00:00Z") },
        {
          tenantId: other["tenant_id"],
          keyId: other["id"],
          requestId: "req_r4",
          model: "m",
          usage: usage(1, 0, 0),
          reservedAt: new Date("2026-03-01T00:10:00Z"),
        },
      ]);
    });

    const usageReport = async (query: string, as?: string) => {
      const answer = await ask(
        "GET",
        `/v1/organizations/usage_report/messages?${query}`,
        as === undefined ? {} : { key: as },
      );
      if (answer.status === 200) ANSWERS.UsageReport.parse(answer.body);
      return answer;
    };

    it("bucket usage by day, empty days included, and page through them", async () => {
      const { body } = await usageReport("starting_at=2026-03-01T05:00:00Z&ending_at=2026-03-05T00:00:00Z&limit=2");
      expect(body).toMatchObject({ has_more: true, next_page: expect.any(String) });
      expect(body["data"]).toMatchObject([
        {
          starting_at: "2026-03-01T00:00:00Z",
          ending_at: "2026-03-02T00:00:00Z",
          results: [
            {
              uncached_input_tokens: 1_011,
              cache_read_input_tokens: 9_020,
              output_tokens: 130,
              model: null,
              workspace_id: null,
            },
          ],
        },
        { starting_at: "2026-03-02T00:00:00Z", results: [] },
      ]);
      const next = await usageReport(
        `starting_at=2026-03-01T05:00:00Z&ending_at=2026-03-05T00:00:00Z&limit=2&page=${body["next_page"]}`,
      );
      expect(next.body).toMatchObject({
        has_more: false,
        next_page: null,
        data: [{ starting_at: "2026-03-03T00:00:00Z", results: [{ uncached_input_tokens: 7 }] }, { results: [] }],
      });
    });

    it.each(["group_by[]=model&group_by[]=workspace_id", "group_by=model&group_by=workspace_id&beta=true"])(
      "group by %s",
      async (groups) => {
        const { body } = await usageReport(`starting_at=2026-03-01T00:00:00Z&ending_at=2026-03-02T00:00:00Z&${groups}`);
        expect(
          body["data"][0]["results"].map((row: Json) => [
            row["model"],
            row["workspace_id"] === key["tenant_id"],
            row["output_tokens"],
          ]),
        ).toEqual(
          expect.arrayContaining([
            ["m", true, 130],
            ["m", false, 0],
          ]),
        );
      },
    );

    it("bucket by hour and by minute, and filter", async () => {
      const filter = `workspace_ids[]=${key["tenant_id"]}&models[]=m`;
      const hours = await usageReport(
        `starting_at=2026-03-01T00:00:00Z&ending_at=2026-03-01T02:00:00Z&bucket_width=1h&${filter}`,
      );
      expect(hours.body["data"].map((bucket: Json) => bucket["results"].length)).toEqual([1, 0]);
      const minutes = await usageReport(
        `starting_at=2026-03-01T00:10:30Z&ending_at=2026-03-01T00:12:00Z&bucket_width=1m&${filter}`,
      );
      expect(minutes.body["data"].map((bucket: Json) => [bucket["starting_at"], bucket["results"].length])).toEqual([
        ["2026-03-01T00:10:00Z", 1],
        ["2026-03-01T00:11:00Z", 0],
      ]);
    });

    it.each([
      ["", "starting_at"],
      ["starting_at=yesterday", "starting_at"],
      ["starting_at=2026-03-01T00:00:00Z&bucket_width=2d", "bucket_width"],
      ["starting_at=2026-03-01T00:00:00Z&limit=0", "limit"],
      ["starting_at=2026-03-01T00:00:00Z&page=page_5", "page"],
      ["starting_at=2026-03-01T00:00:00Z&group_by[]=mood", "group_by"],
    ])("refuse %s", async (query, word) => {
      const { status, headers, body } = await usageReport(query);
      expect([status, body]).toMatchObject([
        400,
        { type: "error", error: { type: "invalid_request_error", message: expect.stringContaining(word) } },
      ]);
      expect(body["request_id"]).toBe(headers.get("request-id"));
    });

    it("tell cost in cents, exact, whole and by description", async () => {
      const span = "starting_at=2026-03-01T00:00:00Z&ending_at=2026-03-02T00:00:00Z";
      const whole = (await ask("GET", `/v1/organizations/cost_report?${span}`)).body;
      ANSWERS.CostReport.parse(whole);
      // 1,011 × 0.6 + 9,020 × 0.06 + 130 × 2.4 micro-USD.
      expect(whole["data"][0]["results"]).toMatchObject([{ amount: "0.14598", currency: "USD", description: null }]);
      const lines = (
        await ask("GET", `/v1/organizations/cost_report?${span}&group_by[]=description&group_by[]=workspace_id`)
      ).body;
      ANSWERS.CostReport.parse(lines);
      const mine = lines["data"][0]["results"].filter((row: Json) => row["workspace_id"] === key["tenant_id"]);
      expect(mine).toMatchObject([
        {
          amount: "0.0606",
          token_type: "uncached_input_tokens",
          cost_type: "tokens",
          model: "m",
          description: "m Usage - Input Tokens",
        },
        { amount: "0.05412", token_type: "cache_read_input_tokens" },
        { amount: "0.0312", token_type: "output_tokens" },
      ]);
    });

    it("show a tenant's key its own usage and nothing else", async () => {
      const span = "starting_at=2026-03-01T00:00:00Z&ending_at=2026-03-02T00:00:00Z";
      const own = await usageReport(`${span}&group_by[]=api_key_id`, key["key"]);
      expect(own.body["data"][0]["results"]).toMatchObject([{ api_key_id: key["id"], uncached_input_tokens: 1_010 }]);
      expect((await usageReport(`${span}&api_key_ids[]=key_another`, key["key"])).status).toBe(403);
      expect((await usageReport(`${span}&workspace_ids[]=ten_another`, key["key"])).status).toBe(403);
      for (const operation of Object.keys(OPERATIONS)) {
        const [method = "", path = ""] = operation.split(" ");
        if (path === "/api/oauth/usage" || path.endsWith("/usage_report/messages")) continue;
        const { status, body } = await ask(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, "x"), {
          key: key["key"],
          ...(method === "post" && { body: {} }),
        });
        expect([operation, status, body["error"]["type"]]).toEqual([
          operation,
          ...(path.startsWith("/admin") ? [401, "authentication_error"] : [403, "permission_error"]),
        ]);
      }
    });
  });

  describe("spend limits", () => {
    it("are set, listed, read and deleted by the official SDK", async () => {
      const { spendLimits } = client.beta.organization;
      const scope = { type: "workspace", workspace_id: key["tenant_id"] } as const;
      const made = await spendLimits.set({ scope, amount: "50000", period: "monthly" });
      ANSWERS.SpendLimit.parse(JSON.parse(JSON.stringify(made)));
      expect(made).toMatchObject({ id: expect.stringMatching(/^spl_\d+$/), amount: "50000", scope, period: "monthly" });
      const again = await spendLimits.set({ scope, amount: "7", period: "monthly" });
      expect(again).toMatchObject({ id: made.id, amount: "7" });
      await spendLimits.set({ scope, amount: "100", period: "daily" });
      await spendLimits.set({ scope, amount: "200", period: "weekly" });
      expect((await collect(spendLimits.list({ limit: 1 }))).map((each) => each.period)).toEqual([
        "daily",
        "weekly",
        "monthly",
      ]);
      const before = await ask("GET", `/v1/organizations/spend_limits?limit=1&before_id=${made.id}`);
      expect(before.body).toMatchObject({ has_more: true, next_page: null, data: [{ period: "weekly" }] });
      expect(await spendLimits.retrieve(made.id)).toMatchObject({ amount: "7" });
      expect(await spendLimits.delete(made.id)).toEqual({ id: made.id, type: "spend_limit_deleted" });
      await expect(spendLimits.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
      const [row] = (await sql<Json>`SELECT count(*)::int AS count FROM budget`.execute(test.store.db)).rows;
      expect(row).toEqual({ count: 2 });
    });

    it.each([
      [{ scope: { type: "organization" }, amount: "1" }],
      [{ scope: { type: "workspace", workspace_id: "x" }, amount: null }],
      [{ scope: { type: "workspace", workspace_id: "x" }, amount: "1.5" }],
      [{ scope: { type: "workspace", workspace_id: "x" }, amount: 100 }],
      [{ scope: { type: "workspace", workspace_id: "x" }, amount: "1", period: "yearly" }],
    ])("refuse %o", async (body) => {
      expect((await ask("POST", "/v1/organizations/spend_limits", { body })).status).toBe(400);
    });

    it("say what applies to each key, and from where", async () => {
      const keyScope = { type: "api_key", api_key_id: key["id"] };
      await ask("POST", "/v1/organizations/spend_limits", { body: { scope: keyScope, amount: "30", period: "daily" } });
      const { body } = await ask("GET", `/v1/organizations/spend_limits/effective?api_key_ids[]=${key["id"]}`);
      ANSWERS.EffectiveSpendLimits.parse(body);
      expect(body["data"]).toMatchObject([
        {
          period: "daily",
          amount: "30",
          period_to_date_spend: "0",
          source: keyScope,
          actor: { scoped_api_key_id: key["id"] },
        },
        { period: "weekly", amount: "200", source: { type: "workspace" } },
      ]);
      const summaries = await collect(client.beta.organization.spendLimits.effective.list({ period: ["weekly"] }));
      expect(summaries.map((each) => each.period)).toEqual(["weekly"]);
    });

    it("say who changed them, the last first, whichever way it was done", async () => {
      const first = await ask("GET", "/v1/organizations/spend_limits/audit?limit=3");
      ANSWERS.SpendLimitAudit.parse(first.body);
      expect(first.body).toMatchObject({
        has_more: true,
        data: [
          {
            action: "created",
            amount: "30",
            previous_amount: null,
            scope: { type: "api_key" },
            actor: { admin_key_id: expect.stringMatching(/^adm_/) },
          },
          { action: "deleted", amount: null, previous_amount: "7" },
          { action: "created", amount: "200" },
        ],
      });
      const rest = await ask("GET", `/v1/organizations/spend_limits/audit?after_id=${first.body["last_id"]}`);
      expect(rest.body["data"].map((each: Json) => each["action"])).toEqual(["created", "updated", "created"]);
    });
  });

  describe("Claude Code's usage", () => {
    const own = (secret: string) => ask("GET", "/api/oauth/usage", { key: secret });

    it("has the cap that is nearest its end in dollars, and a row for each", async () => {
      await charge(test.store, [
        {
          tenantId: key["tenant_id"],
          keyId: key["id"],
          requestId: "req_now",
          model: "n",
          usage: { inputUncached: 245, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
        },
      ]);
      const { status, body } = await own(key["key"]);
      ANSWERS.OwnUsage.parse(body);
      const [midnight] = (
        await sql<{ at: Date }>`SELECT date_trunc('day', now(), 'UTC') + interval '1 day' AS at`.execute(test.store.db)
      ).rows;
      const effective = await ask("GET", `/v1/organizations/spend_limits/effective?api_key_ids[]=${key["id"]}`);
      ANSWERS.EffectiveSpendLimits.parse(effective.body);
      expect(effective.body["data"][0]).toMatchObject({ amount: "30", period_to_date_spend: "24" });
      expect([status, body["extra_usage"]]).toEqual([
        200,
        { is_enabled: true, monthly_limit: 30, used_credits: 24, utilization: 81, currency: "USD" },
      ]);
      expect(body["limits"]).toMatchObject([
        { kind: "spend", group: "daily", percent: 24, severity: "normal", is_active: false },
        { group: "weekly", percent: 12 },
        { group: "daily", percent: 81, severity: "warning", is_active: true, resets_at: midnight?.at.toISOString() },
      ]);
    });

    it("has the sums of day, week and month for a key without a cap", async () => {
      const free = (await ask("POST", "/admin/v1/keys", { body: { tenant: "free" } })).body;
      await charge(test.store, [
        {
          tenantId: free["tenant_id"],
          keyId: free["id"],
          requestId: "req_free",
          model: "n",
          usage: { inputUncached: 1_239, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
        },
      ]);
      const { body } = await own(free["key"]);
      ANSWERS.OwnUsage.parse(body);
      const spent = { limit: null, used_credits: 123, utilization: null };
      expect(body).toEqual({
        extra_usage: {
          is_enabled: true,
          monthly_limit: null,
          used_credits: 123,
          utilization: null,
          currency: "USD",
          daily: spent,
          weekly: spent,
        },
        limits: [],
      });
    });

    it("is not for admin keys, nor for strangers", async () => {
      expect((await own(ADMIN_KEY)).status).toBe(403);
      const { status, headers } = await own(newKey("virtual"));
      expect([status, headers.get("x-should-retry")]).toEqual([401, "false"]);
    });
  });

  describe("admin keys", () => {
    it("read, or read and write, under ids that the audit log knows", async () => {
      const reader = (await ask("POST", "/admin/v1/admin-keys", { body: { name: "dashboard", access: "read" } })).body;
      const writer = (await ask("POST", "/admin/v1/admin-keys", { body: { name: "billing", access: "write" } })).body;
      ANSWERS.NewAdminKey.parse(reader);
      expect((await ask("GET", "/admin/v1/whoami", { key: reader["key"] })).body).toEqual({
        id: reader["id"],
        name: "dashboard",
        access: "read",
      });
      expect((await ask("GET", "/v1/organizations/workspaces", { key: reader["key"] })).status).toBe(200);
      for (const path of ["/v1/organizations/workspaces", "/admin/v1/tenants"])
        expect((await ask("POST", path, { key: reader["key"], body: { name: "by-reader" } })).status).toBe(403);
      expect((await ask("DELETE", "/v1/organizations/spend_limits/spl_1", { key: reader["key"] })).status).toBe(403);
      const made = await ask("POST", "/v1/organizations/workspaces", {
        key: writer["key"],
        body: { name: "by-writer" },
      });
      expect(made.status).toBe(200);
      const log = await sql<Json>`SELECT actor FROM audit_log WHERE subject = ${made.body["id"]}`.execute(
        test.store.db,
      );
      expect(log.rows).toEqual([{ actor: writer["id"] }]);
      const listed = (await ask("GET", "/admin/v1/admin-keys")).body;
      ANSWERS.AdminKeys.parse(listed);
      expect(JSON.stringify(listed)).not.toContain(reader["key"]);
      expect((await ask("POST", `/admin/v1/admin-keys/${reader["id"]}/revoke`, { body: {} })).status).toBe(200);
      expect((await ask("GET", "/admin/v1/whoami", { key: reader["key"] })).status).toBe(401);
      expect((await ask("GET", "/v1/organizations/workspaces", { key: reader["key"] })).status).toBe(401);
    });

    it("of the gateway's start cannot be revoked by command", async () => {
      const { id } = (await ask("GET", "/admin/v1/whoami")).body;
      expect((await ask("POST", `/admin/v1/admin-keys/${id}/revoke`, { body: {} })).status).toBe(400);
    });
  });
});
