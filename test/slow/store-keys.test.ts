/** Tenants and virtual keys in a real store: made, found, revoked, and what happens while the store is away. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { credentialsOf } from "../../src/admission/credentials.ts";
import { newKey } from "../../src/admission/key-format.ts";
import { type KeyRingOptions, createKeyRing } from "../../src/admission/key-ring.ts";
import { createKeyStore } from "../../src/admission/key-store.ts";
import { changeKey, createKey, listKeys, revokeKey } from "../../src/admission/keys.ts";
import { bindSecret, gatewaySecret } from "../../src/admission/secret.ts";
import { createTenant, listTenants } from "../../src/admission/tenants.ts";
import { type Store, openStore } from "../../src/db/open-store.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const PEPPER = Buffer.alloc(32, 1);
const ACTOR = "adm_test";
const refused = expect.objectContaining({ code: "unknown_key" });

function ringOf(store: Store, options: KeyRingOptions = {}) {
  return createKeyRing(createKeyStore(store), PEPPER, options);
}

/** What `authenticate` does, thrown or rejected. */
async function outcome(work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return error;
  }
}

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("keys on $kind", ({ open }) => {
  let test: TestStore;
  let store: Store;
  beforeAll(async () => {
    test = await open();
    store = test.store;
  });
  afterAll(() => test.dispose());

  it("makes the tenant of a key if it is new, and only then", async () => {
    const first = await createKey(store, PEPPER, ACTOR, { tenant: "acme", name: "laptop" });
    const second = await createKey(store, PEPPER, ACTOR, { tenant: "acme" });
    expect(second.tenantId).toBe(first.tenantId);
    expect(second.secret).not.toBe(first.secret);
    expect([first.name, second.name]).toEqual(["laptop", "default"]);
    const tenants = await listTenants(store);
    expect(tenants.find(({ name }) => name === "acme")).toMatchObject({
      id: first.tenantId,
      keys: 2,
      archivedAt: null,
    });
  });

  it("makes one tenant for many keys that are made at once", async () => {
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => createKey(store, PEPPER, ACTOR, { tenant: "all at once" })),
    );
    expect(new Set(keys.map(({ tenantId }) => tenantId)).size).toBe(1);
    expect(new Set(keys.map(({ secret }) => secret)).size).toBe(20);
  });

  it("refuses a tenant's name that is taken", async () => {
    await createTenant(store, ACTOR, "taken");
    await expect(createTenant(store, ACTOR, "taken")).rejects.toMatchObject({ code: "already_exists", param: "name" });
  });

  it("keeps no key in any table", async () => {
    const { id, secret } = await createKey(store, PEPPER, ACTOR, { tenant: "acme" });
    await ringOf(store).authenticate(secret);
    const { rows } = await sql<{ text: string }>`
      SELECT to_json(k)::text AS text FROM virtual_key k
      UNION ALL SELECT to_json(t)::text FROM tenant t
      UNION ALL SELECT to_json(a)::text FROM audit_log a`.execute(store.db);
    const everything = rows.map(({ text }) => text).join("\n");
    expect(everything).toContain(id);
    expect(everything).not.toContain(secret.slice(10));
    expect(everything).not.toContain(Buffer.from(secret).toString("hex"));
    expect(everything).not.toContain(Buffer.from(secret).toString("base64"));
  });

  it("knows whose a key is", async () => {
    const made = await createKey(store, PEPPER, ACTOR, { tenant: "acme", name: "who" });
    const principal = { tenantId: made.tenantId, tenant: "acme", keyId: made.id, key: "who", models: null };
    const ring = ringOf(store);
    expect(await ring.authenticate(made.secret)).toEqual(principal);
    expect(ring.authenticate(made.secret)).toEqual(principal);
    await ring.close();
  });

  it("finds many keys in one look-up, each its own", async () => {
    const made = await Promise.all(
      Array.from({ length: 30 }, (_unused, index) => createKey(store, PEPPER, ACTOR, { tenant: `t${index % 7}` })),
    );
    const ring = ringOf(store);
    const secrets = made.flatMap(({ secret }) => [secret, newKey("virtual")]);
    const found = await Promise.all(secrets.map((secret) => outcome(() => ring.authenticate(secret))));
    expect(found).toEqual(
      made.flatMap(({ tenantId, tenant, id, name }) => [
        { tenantId, tenant, keyId: id, key: name, models: null },
        refused,
      ]),
    );
    await ring.close();
  });

  it("refuses a revoked key: here at once, on another gateway once its answer is stale", async () => {
    const made = await createKey(store, PEPPER, ACTOR, { tenant: "acme" });
    const clock = { now: 0 };
    const here = ringOf(store);
    const elsewhere = ringOf(store, { freshMs: 1_000, staleMs: 5_000, now: () => clock.now });
    await here.authenticate(made.secret);
    await elsewhere.authenticate(made.secret);
    const revoked = await revokeKey(store, ACTOR, made.id);
    here.forget(made.id);
    expect(revoked.revokedAt).toBeInstanceOf(Date);
    expect(await outcome(() => here.authenticate(made.secret))).toEqual(refused);
    clock.now += 5_001;
    expect(await outcome(() => elsewhere.authenticate(made.secret))).toEqual(refused);
    expect(await revokeKey(store, ACTOR, made.id)).toEqual(revoked);
    await Promise.all([here.close(), elsewhere.close()]);
  });

  it("tells which models a key may use, and heeds a change at once", async () => {
    const made = await createKey(store, PEPPER, ACTOR, { tenant: "picky", models: ["small", "Big/One", "small"] });
    expect(made.models).toEqual(["Big/One", "small"]);
    const ring = ringOf(store);
    expect(await ring.authenticate(made.secret)).toMatchObject({ models: ["Big/One", "small"] });
    await changeKey(store, ACTOR, made.id, { models: ["small"] });
    ring.renew(made.id);
    expect(await ring.authenticate(made.secret)).toMatchObject({ models: ["small"] });
    expect(await listKeys(store, { tenant: "picky" })).toMatchObject([{ id: made.id, models: ["small"] }]);
    await changeKey(store, ACTOR, made.id, { models: null });
    ring.renew(made.id);
    expect(await ring.authenticate(made.secret)).toMatchObject({ models: null });
    await ring.close();
  });

  it("gives an expired key more time, and a revoked one none", async () => {
    const made = await createKey(store, PEPPER, ACTOR, { tenant: "late", expiresAt: new Date(Date.now() + 3_600_000) });
    await sql`UPDATE virtual_key SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'
              WHERE id = ${made.id}`.execute(store.db);
    const ring = ringOf(store);
    expect(await outcome(() => ring.authenticate(made.secret))).toEqual(refused);
    const later = new Date(Date.now() + 86_400_000);
    expect(await changeKey(store, ACTOR, made.id, { expiresAt: later })).toMatchObject({
      expiresAt: later,
      models: null,
    });
    ring.renew(made.id);
    expect(await ring.authenticate(made.secret)).toMatchObject({ keyId: made.id });
    expect(await changeKey(store, ACTOR, made.id, { expiresAt: null })).toMatchObject({ expiresAt: null });
    await revokeKey(store, ACTOR, made.id);
    for (const change of [{ expiresAt: later }, { models: ["small"] }, {}])
      await expect(changeKey(store, ACTOR, made.id, change)).rejects.toMatchObject({ code: "invalid_request" });
    await expect(changeKey(store, ACTOR, "key_nobody", { models: null })).rejects.toMatchObject({ code: "not_found" });
    await ring.close();
  });

  it("writes the limits of keys into the audit log", async () => {
    const expiresAt = new Date("2099-01-01T00:00:00Z");
    const { id, tenantId } = await createKey(store, PEPPER, ACTOR, {
      tenant: "limited",
      expiresAt,
      models: ["b", "a"],
    });
    await changeKey(store, ACTOR, id, { models: null });
    await changeKey(store, ACTOR, id, { expiresAt: null });
    const entries = await store.db
      .selectFrom("audit_log")
      .select(["action", "detail"])
      .where("subject", "=", id)
      .orderBy("id")
      .execute();
    expect(entries).toEqual([
      {
        action: "key.create",
        detail: { tenant: tenantId, name: "default", expires_at: "2099-01-01T00:00:00.000Z", models: "a, b" },
      },
      { action: "key.change", detail: { models: null } },
      { action: "key.change", detail: { expires_at: null } },
    ]);
  });

  it("refuses the keys of an archived tenant, and an expired key", async () => {
    const archived = await createKey(store, PEPPER, ACTOR, { tenant: "gone" });
    await sql`UPDATE tenant SET archived_at = now() WHERE name = 'gone'`.execute(store.db);
    const expired = await createKey(store, PEPPER, ACTOR, {
      tenant: "acme",
      expiresAt: new Date(Date.now() + 3_600_000),
    });
    await sql`UPDATE virtual_key SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'
              WHERE id = ${expired.id}`.execute(store.db);
    const ring = ringOf(store);
    expect(await outcome(() => ring.authenticate(archived.secret))).toEqual(refused);
    const error = await outcome(() => ring.authenticate(expired.secret));
    expect(error).toEqual(refused);
    const day = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    expect((error as Error).message).toMatch(
      new RegExp(`^this key expired on ${day} \\d\\d:\\d\\d UTC; ask for a new one$`),
    );
    await expect(createKey(store, PEPPER, ACTOR, { tenant: "gone" })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await ring.close();
  });

  it("says which keys there are, and when they were last used", async () => {
    const made = await createKey(store, PEPPER, ACTOR, { tenant: "listed", name: "used" });
    await createKey(store, PEPPER, ACTOR, { tenant: "listed", name: "unused" });
    const ring = ringOf(store);
    await ring.authenticate(made.secret);
    await ring.close();
    const keys = await listKeys(store, { tenant: "listed" });
    expect(keys.map(({ name, hint, lastUsedAt }) => [name, hint, lastUsedAt !== null])).toEqual([
      ["used", `${made.secret.slice(0, 7)}…`, true],
      ["unused", expect.stringMatching(/^ev-.{4}…$/), false],
    ]);
    await expect(listKeys(store, { tenant: "nobody" })).rejects.toMatchObject({ code: "not_found" });
    await expect(revokeKey(store, ACTOR, "key_nobody")).rejects.toMatchObject({ code: "not_found" });
  });

  it("writes down who did what", async () => {
    const made = await createKey(store, PEPPER, "adm_someone", { tenant: "audited", name: "k" });
    await revokeKey(store, "adm_other", made.id);
    const rows = await store.db
      .selectFrom("audit_log")
      .select(["actor", "action", "subject", "detail"])
      .where("subject", "in", [made.id, made.tenantId])
      .orderBy("id")
      .execute();
    expect(rows).toEqual([
      { actor: "adm_someone", action: "tenant.create", subject: made.tenantId, detail: { name: "audited" } },
      { actor: "adm_someone", action: "key.create", subject: made.id, detail: { tenant: made.tenantId, name: "k" } },
      { actor: "adm_other", action: "key.revoke", subject: made.id, detail: {} },
    ]);
  });

  it("takes nothing in a header, a name or an id for SQL", async () => {
    const attacks = [
      "' OR '1'='1",
      "'; DROP TABLE virtual_key; --",
      "\\'; DELETE FROM tenant; --",
      "$1); DROP TABLE tenant; --",
      "' UNION SELECT id, id, id, id, id, id FROM tenant --",
      "ev-' OR hmac IS NOT NULL OR '",
      `ev-${"'".repeat(43)}_evk0000000`,
      "\0' OR 1=1",
    ];
    const before = [await listTenants(store), await listKeys(store)];
    const ring = ringOf(store);
    for (const attack of attacks) {
      const authorization = `Bearer ${attack}`;
      expect(await outcome(() => ring.authenticate(credentialsOf({ authorization })))).toEqual(refused);
      expect(await outcome(() => ring.authenticate(credentialsOf({ "x-api-key": attack })))).toEqual(refused);
      expect(await outcome(() => createTenant(store, ACTOR, attack))).toMatchObject({ code: "invalid_request" });
      expect(await outcome(() => revokeKey(store, ACTOR, attack))).toMatchObject({ code: "not_found" });
      // The admin API lets no U+0000 through to here.
      if (attack.includes("\0")) continue;
      expect(await outcome(() => listKeys(store, { tenant: attack }))).toMatchObject({ code: "not_found" });
    }
    expect([await listTenants(store), await listKeys(store)]).toEqual(before);
    await ring.close();
  });

  it("belongs to the secret that its keys were made with", async () => {
    const secret = gatewaySecret("a".repeat(32), "EVENER_SECRET");
    await bindSecret(store, secret);
    await bindSecret(store, secret);
    await expect(bindSecret(store, gatewaySecret("b".repeat(32), "the file"))).rejects.toThrow(/set EVENER_SECRET/);
  });
});

describe("keys while Postgres is away", () => {
  const postgres = STORE_KINDS.find(({ kind }) => kind === "postgres")!;

  it.skipIf(postgres.skip)(
    "known ones go on, unknown ones are told to come back, and all is well afterwards",
    async () => {
      const test = await postgres.open();
      const proxy = await cutProxy(test.options.databaseUrl!);
      const store = await openStore({ ...test.options, databaseUrl: proxy.url });
      const clock = { now: 0 };
      const ring = ringOf(store, { staleMs: 1_000, patienceMs: 1_500, now: () => clock.now });
      try {
        const known = await createKey(test.store, PEPPER, ACTOR, { tenant: "acme" });
        const unknown = await createKey(test.store, PEPPER, ACTOR, { tenant: "acme" });
        await expect
          .poll(() => outcome(() => ring.authenticate(known.secret)), { timeout: 30_000 })
          .toHaveProperty("keyId");
        for (const goAway of [() => proxy.cut(), async () => proxy.freeze()]) {
          await goAway();
          clock.now += 2_000;
          expect(await outcome(() => ring.authenticate(known.secret))).toMatchObject({ keyId: known.id });
          expect(await outcome(() => ring.authenticate(unknown.secret))).toMatchObject({ code: "store_unavailable" });
          await proxy.mend();
        }
        // A frozen connection is only given up at its time-out; cutting it stands for that.
        await proxy.cut();
        await proxy.mend();
        const patient = { timeout: 30_000, interval: 100 };
        const ask = (secret: string) => outcome(() => ring.authenticate(secret));
        await expect.poll(() => ask(unknown.secret), patient).toMatchObject({ keyId: unknown.id });
        await expect.poll(() => ask(newKey("virtual")), patient).toEqual(refused);
      } finally {
        await ring.close();
        await proxy.close();
        await store.close();
        await test.dispose();
      }
    },
  );
});
