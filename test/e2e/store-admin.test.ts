/** The admin API on both stores, and the commands that speak to it: who may call it, what it takes, what it answers. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "@hono/node-server";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerAdminKeys } from "../../src/admission/admin-keys.ts";
import { archiveTenant } from "../../src/admission/tenant-changes.ts";
import { newKey } from "../../src/admission/key-format.ts";
import { type KeyRing, createKeyRing } from "../../src/admission/key-ring.ts";
import { createKeyStore } from "../../src/admission/key-store.ts";
import type { Store } from "../../src/db/open-store.ts";
import { adminApp } from "../../src/routes/admin.ts";
import { cleanEnvironment, runEvener } from "../support/evener.ts";
import { settleRows } from "../support/settled-rows.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const PEPPER = Buffer.alloc(32, 9);
const ADMIN_KEY = newKey("admin");

type Json = Record<string, unknown>;

/** A URL where nothing listens. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

const price = { model: "m", input_usd: "1", cache_read_usd: "0", output_usd: "0" };

function cursor(text: string): string {
  return Buffer.from(text).toString("base64url");
}

async function appOn(store: Store, keyRing: KeyRing) {
  const adminKeys = await registerAdminKeys(store, PEPPER, [{ name: "test", secret: ADMIN_KEY }]);
  const faults: string[] = [];
  const app = adminApp({
    store,
    keyRing,
    adminKeys,
    pepper: PEPPER,
    onFault: (_error, requestId) => faults.push(requestId),
  });
  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await app.request(`/admin/v1${path}`, {
      method,
      headers: { "x-api-key": ADMIN_KEY, ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Json };
  };
  return { app, ask, faults };
}

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("admin API on $kind", ({ open }) => {
  let test: TestStore;
  let ring: KeyRing;
  let ask: Awaited<ReturnType<typeof appOn>>["ask"];
  beforeAll(async () => {
    test = await open();
    ring = createKeyRing(createKeyStore(test.store), PEPPER);
    ({ ask } = await appOn(test.store, ring));
  });
  afterAll(async () => {
    await ring.close();
    await test.dispose();
  });

  it("lets in an admin key in either header, and says whose it is", async () => {
    const { status, body } = await ask("GET", "/whoami");
    expect([status, body]).toEqual([200, { id: expect.stringMatching(/^adm_/), name: "test", access: "write" }]);
    const bearer = await ask("GET", "/whoami", undefined, { authorization: `Bearer ${ADMIN_KEY}` });
    expect(bearer.body).toEqual(body);
  });

  it.each([
    [401, "unknown_key", { "x-api-key": newKey("admin") }],
    [401, "unknown_key", { "x-api-key": "' OR 1=1 --" }],
    [401, "missing_credentials", { "x-api-key": "" }],
    [400, "conflicting_credentials", { authorization: "Bearer another" }],
  ])("answers %i %s to %o", async (status, code, headers) => {
    for (const path of ["/whoami", "/tenants", "/nothing"]) {
      const answer = await ask("GET", path, undefined, headers);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("x-should-retry")).toBe("false");
      expect(answer.body).toEqual({
        error: {
          type: expect.any(String),
          code,
          message: expect.any(String),
          request_id: answer.headers.get("request-id"),
        },
      });
    }
  });

  it("does not let in a tenant's key", async () => {
    const { body } = await ask("POST", "/keys", { tenant: "curious" });
    expect((await ask("GET", "/tenants", undefined, { "x-api-key": String(body["key"]) })).status).toBe(401);
  });

  it("makes and lists tenants", async () => {
    const made = await ask("POST", "/tenants", { name: "first" });
    const tenant = {
      id: expect.stringMatching(/^ten_/),
      name: "first",
      created_at: expect.any(String),
      archived_at: null,
    };
    expect([made.status, made.body]).toMatchObject([201, tenant]);
    const listed = await ask("GET", "/tenants");
    expect(listed.body["data"]).toContainEqual(expect.objectContaining({ ...tenant, keys: 0 }));
    expect(await ask("POST", "/tenants", { name: "first" })).toMatchObject({
      status: 400,
      body: { error: { code: "already_exists", message: "there is a tenant named first already" } },
    });
  });

  it("makes, lists and revokes keys; the key itself is in the first answer alone", async () => {
    const made = await ask("POST", "/keys", { tenant: "acme", name: "ci", expires_at: "2099-01-01T00:00:00+01:00" });
    expect(made.status).toBe(201);
    const { key, tenant_created: created, ...rest } = made.body;
    expect(created).toBe(true);
    expect(rest).toEqual({
      id: expect.stringMatching(/^key_/),
      tenant: "acme",
      tenant_id: expect.stringMatching(/^ten_/),
      tenant_archived_at: null,
      name: "ci",
      hint: `${String(key).slice(0, 7)}…`,
      created_at: expect.any(String),
      expires_at: "2098-12-31T23:00:00.000Z",
      models: null,
      revoked_at: null,
      last_used_at: null,
    });
    expect(made.headers.get("cache-control")).toBe("no-store");
    expect(await ring.authenticate(String(key))).toMatchObject({ keyId: rest["id"], tenant: "acme", key: "ci" });
    const listed = await ask("GET", "/keys?tenant=acme");
    expect(listed.body).toEqual({ data: [rest] });
    expect(JSON.stringify((await ask("GET", "/keys")).body)).not.toContain(String(key).slice(8));

    const revoked = await ask("POST", `/keys/${String(rest["id"])}/revoke`);
    expect([revoked.status, revoked.body]).toEqual([200, { ...rest, revoked_at: expect.any(String) }]);
    expect(() => ring.authenticate(String(key))).toThrow(expect.objectContaining({ code: "unknown_key" }));
    expect((await ask("POST", "/keys/key_nobody/revoke")).status).toBe(404);
  });

  it("takes a tenant's id for the tenant, and for no other's name", async () => {
    const { body } = await ask("POST", "/keys", { tenant: "by id" });
    expect(body).toMatchObject({ tenant: "by id", tenant_created: true });
    const id = String(body["tenant_id"]);
    const second = await ask("POST", "/keys", { tenant: id, name: "second" });
    expect(second.body).toMatchObject({ tenant: "by id", tenant_id: id, tenant_created: false });
    expect((await ask("GET", `/keys?tenant=${id}`)).body).toMatchObject({ data: [{}, { name: "second" }] });
    expect((await ask("GET", `/usage?tenant=${id}`)).status).toBe(200);
    const unknown = `ten_${"0".repeat(24)}`;
    expect((await ask("POST", "/keys", { tenant: unknown })).body).toMatchObject({
      error: { message: expect.stringContaining("looks like a tenant's id") },
    });
    expect((await ask("POST", "/tenants", { name: id })).status).toBe(400);
    // From before such names were refused.
    await test.store.db
      .insertInto("tenant")
      .values({ id: `ten_${"z".repeat(24)}`, name: id })
      .execute();
    expect((await ask("POST", "/keys", { tenant: id })).body).toMatchObject({ tenant: "by id" });
    expect((await ask("POST", `/tenants/${id}/terms`, { terms: "prepaid" })).body).toMatchObject({ id, name: "by id" });
  });

  it("makes keys with limits, and changes those", async () => {
    const { body } = await ask("POST", "/keys", { tenant: "limited", models: ["b", "a"] });
    const { key, tenant_created: _created, ...made } = body;
    expect(made).toMatchObject({ expires_at: null, models: ["a", "b"] });
    expect(await ring.authenticate(String(key))).toMatchObject({ models: ["a", "b"] });
    const path = `/keys/${String(made["id"])}`;
    const changed = await ask("POST", path, { expires_at: "2099-01-01T00:00:00Z", models: ["a"] });
    expect([changed.status, changed.body]).toEqual([
      200,
      { ...made, expires_at: "2099-01-01T00:00:00.000Z", models: ["a"], last_used_at: changed.body["last_used_at"] },
    ]);
    expect(await ring.authenticate(String(key))).toMatchObject({ models: ["a"] });
    expect((await ask("POST", path, { models: null })).body).toMatchObject({
      expires_at: "2099-01-01T00:00:00.000Z",
      models: null,
    });
    expect((await ask("POST", path, { expires_at: null })).body).toMatchObject({ expires_at: null });
    expect((await ask("POST", path, {})).status).toBe(400);
    expect((await ask("POST", path, { name: "other" })).status).toBe(400);
    expect((await ask("POST", "/keys/key_nobody", { models: null })).status).toBe(404);
  });

  it("writes the admin key's id into the audit log", async () => {
    const { body: admin } = await ask("GET", "/whoami");
    const { body: key } = await ask("POST", "/keys", { tenant: "audited" });
    const row = await test.store.db
      .selectFrom("audit_log")
      .select(["actor", "action"])
      .where("subject", "=", String(key["id"]))
      .executeTakeFirst();
    expect(row).toEqual({ actor: admin["id"], action: "key.create" });
  });

  it.each([
    ["POST", "/keys", "{", "invalid_json"],
    ["POST", "/keys", "", "invalid_json"],
    ["POST", "/keys", [], "invalid_request"],
    ["POST", "/keys", {}, "invalid_request"],
    ["POST", "/keys", { tenant: 7 }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", nmae: "typo" }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", expires_at: "tomorrow" }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", expires_at: "2020-01-01T00:00:00Z" }, "invalid_request"],
    ["POST", "/keys", { tenant: "a\u0000b" }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", models: [] }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", models: ["a\u0000b"] }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", models: "a,b" }, "invalid_request"],
    ["POST", "/tenants", { name: "'; DROP TABLE tenant; --" }, "invalid_request"],
    ["GET", "/usage?by=nothing", undefined, "invalid_request"],
    ["GET", "/usage?since=yesterday", undefined, "invalid_request"],
    ["GET", "/usage?limit=0&by=request", undefined, "invalid_request"],
    ["GET", "/usage?limit=99999&by=request", undefined, "invalid_request"],
    ["GET", "/usage?by=request&after=zzz", undefined, "invalid_request"],
    ["GET", "/keys?tenat=typo", undefined, "invalid_request"],
    ["GET", "/usage?since=0000-01-01T00:00:00Z", undefined, "invalid_request"],
    ["GET", "/usage?until=9999-12-31T23:59:59-23:59", undefined, "invalid_request"],
    ["GET", "/prices?at=0000-01-01T00:00:00Z", undefined, "invalid_request"],
    ["GET", `/usage?by=request&after=${cursor("2026-99-99T99:99:99.999999Z a")}`, undefined, "invalid_request"],
    ["GET", `/usage?by=request&after=${cursor("2026-02-30T00:00:00.000000Z a")}`, undefined, "invalid_request"],
    ["GET", `/usage?by=request&after=${cursor("0000-01-01T00:00:00.000000Z a")}`, undefined, "invalid_request"],
    ["POST", "/keys", { tenant: "a", expires_at: "9999-12-31T23:59:59-23:59" }, "invalid_request"],
    ["POST", "/keys", { tenant: "a", models: ["\ud800"] }, "invalid_request"],
    ["POST", "/ledger/rebuild", { since: "0000-01-01T00:00:00Z" }, "invalid_request"],
    ["POST", "/ledger/rebuild", { since: "9999-12-31T23:59:59-23:59" }, "invalid_request"],
    ["POST", "/tenants/a%00b/credits", { amount_usd: "1" }, "invalid_request"],
    ["POST", "/tenants/a%00b/terms", { terms: "prepaid" }, "invalid_request"],
    ["POST", "/admin-keys/a%00b/revoke", undefined, "invalid_request"],
    ["POST", "/budgets", { tenant: "a\0b", period: "day", amount_usd: "1" }, "invalid_request"],
    ["POST", "/budgets", { key: "a\0b", period: "day", amount_usd: "1" }, "invalid_request"],
    ["POST", "/prices", { ...price, valid_from: "0000-01-01T00:00:00Z" }, "invalid_request"],
    ["POST", "/prices", { ...price, model: "\ud800" }, "invalid_request"],
  ])("refuses %s %s %o in one line", async (method, path, body, code) => {
    const answer = await ask(method, path, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: { code, message: expect.stringMatching(/^[^\n]{5,200}$/) } });
  });

  it("does not fault on U+0000 in a query or a path", async () => {
    const after = cursor("2026-11-22T12:00:00.000000Z a\0b");
    for (const path of ["/keys?tenant=a%00b", "/usage?tenant=a%00b", `/usage?by=request&after=${after}`])
      expect(await ask("GET", path)).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
    expect((await ask("POST", "/keys/a%00b/revoke")).status).toBe(404);
  });

  it("refuses a body that is too large, and a path that it does not have", async () => {
    expect((await ask("POST", "/tenants", { name: "x".repeat(100_000) })).status).toBe(413);
    expect((await ask("GET", "/nothing")).body).toMatchObject({ error: { code: "not_found" } });
  });

  it("reports usage, sums or request by request", async () => {
    const { body: key } = await ask("POST", "/keys", { tenant: "used", name: "k" });
    const owner = { tenantId: String(key["tenant_id"]), keyId: String(key["id"]) };
    await settleRows(
      test.store,
      ["req_a1", "req_a2", "req_a3"].map((requestId) => ({ requestId, ...owner })),
    );
    const sums = await ask("GET", "/usage?tenant=used&since=2026-11-22T00:00:00Z&until=2026-11-23T00:00:00%2B00:00");
    expect(sums.body).toMatchObject({ by: "tenant", data: [{ tenant: "used", requests: 3, output: 120 }], next: null });
    const page = await ask("GET", "/usage?tenant=used&by=request&limit=2");
    expect(page.body).toMatchObject({
      data: [{ request_id: "req_a1", tenant: "used", key: "k" }, { request_id: "req_a2" }],
    });
    const rest = await ask("GET", `/usage?tenant=used&by=request&limit=2&after=${String(page.body["next"])}`);
    expect(rest.body).toMatchObject({ data: [{ request_id: "req_a3" }], next: null });
    expect((await ask("GET", "/usage?tenant=nobody")).status).toBe(404);
  });
});

describe("admin API without its store", () => {
  it("answers 503 with a time to come back, and tells the log", async () => {
    const test = await STORE_KINDS[0]!.open();
    const ring = createKeyRing(createKeyStore(test.store), PEPPER);
    const { ask, faults } = await appOn(test.store, ring);
    await ring.close();
    await test.dispose();
    const answer = await ask("GET", "/tenants");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(answer.body).toMatchObject({ error: { code: "store_unavailable", type: "api_error" } });
    expect(faults).toEqual([answer.headers.get("request-id")]);
  });
});

describe("commands", () => {
  let test: TestStore;
  let ring: KeyRing;
  let server: Server;
  let home: string;
  let env: Record<string, string>;
  const cli = (args: string[], more: Record<string, string> = {}) =>
    runEvener(args, { cwd: home, env: { ...env, ...more } });
  const json = async (args: string[]): Promise<unknown> => JSON.parse((await cli([...args, "--json"])).stdout);

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "evener-cli-"));
    test = await STORE_KINDS[0]!.open();
    ring = createKeyRing(createKeyStore(test.store), PEPPER);
    const { app } = await appOn(test.store, ring);
    server = await new Promise<Server>((resolve) => {
      const started = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(started as Server));
    });
    const { port } = server.address() as AddressInfo;
    env = { ...cleanEnvironment(home), EVENER_URL: `http://127.0.0.1:${port}`, EVENER_ADMIN_KEY: ADMIN_KEY };
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await ring.close();
    await test.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  it("say what to do while there is nothing", async () => {
    expect((await cli(["tenant", "list"])).stdout).toMatch(/^No tenants yet.*evener tenant create/);
    expect((await cli(["key", "list"])).stdout).toMatch(/^No keys yet.*evener key create/);
    expect((await cli(["usage"])).stdout).toBe("No usage in that time.\n");
    expect(await json(["usage", "--by", "request"])).toEqual([]);
  });

  it("say what is wrong with a time that no database reads", async () => {
    for (const command of [["usage"], ["ledger", "rebuild"]])
      expect(await cli([...command, "--since", "0000-01-01"])).toMatchObject({
        code: 2,
        stderr: "evener: since: give a time from the year 1 to 9999\n",
      });
  });

  it("create, list and revoke, for people and for scripts", async () => {
    const created = await cli(["key", "create", "--tenant", "acme", "--name", "laptop"]);
    const [key, , note, , isNew] = created.stdout.split("\n");
    expect(isNew).toBe(
      "The tenant is new: it is postpaid and has no limit. Change that with: evener tenant terms 'acme' …",
    );
    expect(note).toContain("only time");
    expect(await ring.authenticate(key!)).toMatchObject({ tenant: "acme", key: "laptop" });

    const scripted = (await json(["key", "create", "--tenant", "acme"])) as Record<string, string>;
    expect(scripted).toMatchObject({
      id: expect.stringMatching(/^key_/),
      key: expect.stringMatching(/^ev-/),
      tenant: "acme",
    });
    await ring.authenticate(scripted["key"]!);
    expect((await cli(["key", "create", "--tenant", scripted["tenant_id"]!])).stdout).not.toContain("is new");

    expect((await cli(["tenant", "create", "zeta"])).stdout).toMatch(/^Created postpaid tenant zeta \(ten_/);
    expect(await cli(["tenant", "create", "zeta"])).toMatchObject({
      code: 1,
      stderr: "evener: there is a tenant named zeta already\n",
    });
    expect(await json(["tenant", "list"])).toMatchObject([
      { name: "acme", keys: 3 },
      { name: "zeta", keys: 0 },
    ]);
    expect((await cli(["key", "revoke", scripted["id"]!])).stdout).toContain(`Revoked key default of tenant acme`);
    expect(() => ring.authenticate(scripted["key"]!)).toThrow("revoked");
    const table = (await cli(["key", "list", "--tenant", "acme"])).stdout.split("\n");
    expect(table[0]).toMatch(/^TENANT {2}NAME {5}KEY {7}STATE {4}EXPIRES \(UTC\) {2}MODELS {2}CREATED/);
    expect(table.filter((line) => line.includes("revoked"))).toHaveLength(1);
    expect(table.join("")).not.toContain(scripted["key"]!.slice(10));
  });

  it("mark archived tenants and their keys, which are not counted", async () => {
    const { tenant_id: id } = (await json(["key", "create", "--tenant", "gone"])) as Record<string, string>;
    expect((await cli(["tenant", "list"])).stdout).toMatch(/^gone +active +1 /m);
    await archiveTenant(test.store, "adm_test", id!);
    expect((await cli(["tenant", "list"])).stdout).toMatch(/^gone +archived +0 /m);
    expect((await cli(["key", "list", "--tenant", "gone"])).stdout).toMatch(/^gone +default +\S+ +archived /m);
  });

  it("limit keys, and show the limits", async () => {
    const made = await cli([
      "key",
      "create",
      "--tenant",
      "limits",
      "--expires",
      "2099-01-31",
      "--models",
      "small, Qwen/Big",
    ]);
    const [key, , , , shown] = made.stdout.split("\n");
    expect(shown).toBe("Expires 2099-01-31 00:00 UTC; may use Qwen/Big, small");
    expect(await ring.authenticate(key!)).toMatchObject({ models: ["Qwen/Big", "small"] });
    const [listed] = (await json(["key", "list", "--tenant", "limits"])) as Record<string, unknown>[];
    expect(listed).toMatchObject({ expires_at: "2099-01-31T00:00:00.000Z", models: ["Qwen/Big", "small"] });
    const table = async (): Promise<string> => (await cli(["key", "list", "--tenant", "limits"])).stdout;
    expect(await table()).toMatch(/active +2099-01-31 00:00 +Qwen\/Big, small +\d/);

    const id = String(listed!["id"]);
    const more = await json(["key", "update", id, "--expires", "90d"]);
    const left = Date.parse((more as { expires_at: string }).expires_at) - Date.now();
    expect(Math.round(left / 86_400_000)).toBe(90);
    expect(more).toMatchObject({ models: ["Qwen/Big", "small"] });
    const freed = await cli(["key", "update", id, "--expires", "never", "--models", "all"]);
    expect(freed.stdout).toBe(`Changed key default of tenant limits (${id}).\nNever expires; may use all models\n`);
    expect(await table()).toMatch(/active +never +all +\d/);
    await sql`UPDATE virtual_key SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'
              WHERE id = ${id}`.execute(test.store.db);
    expect(await table()).toMatch(/expired +2/);
  });

  it("show usage with totals, and every request over all pages", async () => {
    const key = (await json(["key", "create", "--tenant", "busy"])) as Record<string, string>;
    const ids = Array.from({ length: 5_003 }, (_unused, index) => `req_${String(index).padStart(5, "0")}`);
    const owner = { tenantId: key["tenant_id"]!, keyId: key["id"]! };
    await settleRows(
      test.store,
      ids.map((requestId) => ({ requestId, ...owner })),
    );
    const rows = (await json(["usage", "--tenant", "busy", "--by", "request"])) as { request_id: string }[];
    expect(rows.map((row) => row.request_id)).toEqual(ids);
    const { stdout } = await cli(["usage", "--since", "2026-11-22", "--until", "2026-11-23", "--by", "key"]);
    expect(stdout).toMatch(/busy +default +key_\w+ +5,003 +0 +500,300/);
    expect(stdout).toMatch(/\ntotal +5,003 +0 +500,300/);
    expect((await cli(["usage", "--until", "2026-11-22T12:00:00Z"])).stdout).toBe("No usage in that time.\n");
  });

  it("show which requests were sent again", async () => {
    const key = (await json(["key", "create", "--tenant", "again"])) as Record<string, string>;
    const owner = { tenantId: key["tenant_id"]!, keyId: key["id"]! };
    await settleRows(test.store, [
      { requestId: "req_broken", ...owner, outcome: "engine_died" },
      { requestId: "req_mended", ...owner, streamed: false, repeatOf: "req_broken" },
    ]);
    const rows = await json(["usage", "--tenant", "again", "--by", "request"]);
    expect(rows).toMatchObject([
      { request_id: "req_broken", outcome: "engine_died", repeat_of: null },
      { request_id: "req_mended", outcome: "ok", repeat_of: "req_broken" },
    ]);
    const { stdout } = await cli(["usage", "--tenant", "again", "--by", "request"]);
    expect(stdout).toMatch(/ {2}engine_died +engine\n.* {2}ok, sent again +engine\n/);
  });

  it.each([
    [2, ["key", "create"], /--tenant/],
    [2, ["tenant", "create", "a;b"], /^evener: the tenant name is not valid; use/],
    [2, ["usage", "--since", "yesterday"], /Give a day/],
    [2, ["usage", "--by", "colour"], /tenant, key, model/],
    [2, ["key", "create", "--tenant", "a", "--expires", "yesterday"], /Give a time ahead/],
    [2, ["key", "create", "--tenant", "a", "--models", "a,,b"], /Give served names/],
    [2, ["key", "update", "key_nobody"], /^evener: nothing to change; give --expires or --models$/m],
    [1, ["key", "update", "key_nobody", "--models", "a"], /^evener: there is no key with the id key_nobody/],
    [
      1,
      ["key", "list", "--tenant", "nobody"],
      /^evener: there is no tenant named nobody; list them with: evener tenant list$/m,
    ],
    [1, ["budget", "remove", "bud_99"], /^evener: there is no budget with the id bud_99; list them/],
    [1, ["key", "revoke", "key_nobody"], /^evener: there is no key with the id key_nobody; list them/],
  ])("end with %i when called as %o", async (code, args, message) => {
    const done = await cli(args);
    expect(done.code).toBe(code);
    expect(done.stdout).toBe("");
    expect(done.stderr).toMatch(message);
  });

  it("say when there is no gateway, when it is another's, and when it does not answer", async () => {
    const none = { EVENER_URL: "", EVENER_ADMIN_KEY: "", EVENER_DATA: join(home, "nothing") };
    expect(await cli(["tenant", "list"], none)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^evener: no gateway is running .*evener up/),
    });
    expect(await cli(["tenant", "list"], { EVENER_ADMIN_KEY: "wrong".repeat(9) })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^evener: .* refuses this admin key .*; set EVENER_ADMIN_KEY to the right one\n$/),
    });
    expect(await cli(["tenant", "list"], { EVENER_URL: await closedPort() })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^evener: no gateway answers at http:\/\/127\.0\.0\.1:\d+ .*connection refused/),
    });
    expect(await cli(["tenant", "list"], { EVENER_ADMIN_KEY: "" })).toMatchObject({ code: 2 });
  });
});
