/** The store itself, the same on both drivers: migrations, values, transactions, what the schema refuses. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CompiledQuery, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, readMigrations } from "../../src/db/migrate.ts";
import { openStore } from "../../src/db/open-store.ts";
import { isDataError, isStoreAway, isUniqueViolation } from "../../src/db/store-error.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("store on $kind", ({ kind, open }) => {
  let test: TestStore;
  beforeAll(async () => {
    test = await open();
  });
  afterAll(() => test.dispose());

  it("answers, and says where it is without a password", async () => {
    await test.store.ping();
    expect(test.store.kind).toBe(kind);
    expect(test.store.where).not.toContain("@");
  });

  describe("migrations", () => {
    it("are each recorded with their checksum, and not applied again", async () => {
      const { rows } = await sql<{ number: number; name: string; checksum: string }>`
        SELECT number, name, checksum FROM schema_migration ORDER BY number`.execute(test.store.db);
      expect(rows).toEqual(readMigrations().map(({ number, name, checksum }) => ({ number, name, checksum })));
      expect(await migrate(test.store.db, readMigrations())).toEqual([]);
    });

    it("refuse a database that a newer program made", async () => {
      await expect(migrate(test.store.db, readMigrations().slice(0, -1))).rejects.toMatchObject({
        code: "schema_newer",
      });
    });

    it("refuse a database whose migration was another one", async () => {
      const edited = readMigrations().map((migration) => Object.assign(migration, { checksum: "edited" }));
      await expect(migrate(test.store.db, edited)).rejects.toMatchObject({ code: "migration_changed" });
    });

    it("leave nothing behind when one of them fails", async () => {
      const all = readMigrations();
      const broken = [
        ...all,
        { number: all.length + 1, name: "half", text: "CREATE TABLE half (a int); SELECT 1/0;", checksum: "x" },
      ];
      await expect(migrate(test.store.db, broken)).rejects.toMatchObject({ code: "22012" });
      const { rows } = await sql<{ found: string | null }>`SELECT to_regclass('half')::text AS found`.execute(
        test.store.db,
      );
      expect(rows).toEqual([{ found: null }]);
      expect(await migrate(test.store.db, all)).toEqual([]);
    });
  });

  it("gives the same JavaScript values from both drivers", async () => {
    const nasty = `a'"\\{},NULL \u{1F980}\n\t–`;
    const { rows } = await test.store.db.executeQuery<Record<string, unknown>>(
      CompiledQuery.raw(
        `SELECT $1::text AS text, $2::int8 AS big, $3::timestamptz AS time, $4::bytea AS bytes, $5::boolean AS yes,
                $6::integer AS number, $7::text AS nothing, $8::jsonb AS json, 1.5::numeric AS exact, 9007199254740993::int8 AS beyond,
                (SELECT array_to_json(array_agg(u))::text FROM unnest($9::text[]) u) AS many`,
        [
          nasty,
          2n ** 62n,
          new Date("2026-11-22T17:00:00.123Z"),
          Buffer.from([0, 255, 1]),
          true,
          7,
          null,
          JSON.stringify({ a: [1, null] }),
          [nasty, null, "", "NULL"],
        ],
      ),
    );
    const row = rows[0]!;
    expect({ ...row, bytes: [...(row["bytes"] as Uint8Array)], many: JSON.parse(String(row["many"])) }).toEqual({
      text: nasty,
      big: 2n ** 62n,
      time: new Date("2026-11-22T17:00:00.123Z"),
      bytes: [0, 255, 1],
      yes: true,
      number: 7,
      nothing: null,
      json: { a: [1, null] },
      exact: "1.5",
      beyond: 9007199254740993n,
      many: [nasty, null, "", "NULL"],
    });
  });

  it("keeps transactions apart from what runs beside them", async () => {
    const { db } = test.store;
    const write = (name: string) => db.insertInto("setting").values({ name, value: "1" }).execute();
    const failing = Array.from({ length: 10 }, (_unused, index) =>
      db
        .transaction()
        .execute(async (trx) => {
          await trx
            .insertInto("setting")
            .values({ name: `rolled-back-${index}`, value: "1" })
            .execute();
          await new Promise((resolve) => setTimeout(resolve, 1));
          throw new Error("changed my mind");
        })
        .catch((error: unknown) => error),
    );
    const beside = Array.from({ length: 10 }, (_unused, index) => write(`beside-${index}`));
    await Promise.all(beside);
    expect(await Promise.all(failing)).toEqual(Array.from({ length: 10 }, () => new Error("changed my mind")));
    const rows = await db.selectFrom("setting").select("name").where("name", "~", "^(rolled-back|beside)").execute();
    expect(rows.map(({ name }) => name).sort()).toEqual(
      Array.from({ length: 10 }, (_unused, index) => `beside-${index}`),
    );
  });

  it("tells errors of the data apart", async () => {
    const { db } = test.store;
    await db.insertInto("setting").values({ name: "twice", value: "1" }).execute();
    const error = await db
      .insertInto("setting")
      .values({ name: "twice", value: "2" })
      .execute()
      .catch((thrown: unknown) => thrown);
    expect(isUniqueViolation(error, "setting_pkey")).toBe(true);
    expect(isUniqueViolation(error, "tenant_name_key")).toBe(false);
    expect(isDataError(error)).toBe(true);
  });

  it("never changes what the audit log says", async () => {
    const { db } = test.store;
    await db.insertInto("audit_log").values({ actor: "gateway", action: "test", subject: "x" }).execute();
    const append = { message: expect.stringContaining("append-only") };
    await expect(sql`UPDATE audit_log SET actor = 'nobody'`.execute(db)).rejects.toMatchObject(append);
    await expect(sql`DELETE FROM audit_log`.execute(db)).rejects.toMatchObject(append);
    await expect(sql`TRUNCATE audit_log`.execute(db)).rejects.toMatchObject(append);
  });

  it("refuses what makes no sense", async () => {
    const { db } = test.store;
    const id = `ten_${"0".repeat(24)}`;
    const check = { code: "23514" };
    await expect(db.insertInto("tenant").values({ id: "x", name: "x" }).execute()).rejects.toMatchObject(check);
    await expect(db.insertInto("tenant").values({ id, name: "a\nb" }).execute()).rejects.toMatchObject(check);
    await expect(db.insertInto("tenant").values({ id, name: "" }).execute()).rejects.toMatchObject(check);
  });

  it("opens again with everything in it", async () => {
    const { db } = test.store;
    await db.insertInto("setting").values({ name: "survives", value: "yes" }).execute();
    await test.store.close();
    await test.store.close();
    test.store = await openStore(test.options);
    const row = await test.store.db
      .selectFrom("setting")
      .select("value")
      .where("name", "=", "survives")
      .executeTakeFirst();
    expect(row).toEqual({ value: "yes" });
  });
});

it("opens the embedded database where a kill left Postgres' own lock file empty", async () => {
  const test = await STORE_KINDS.find(({ kind }) => kind === "pglite")!.open();
  await test.store.close();
  writeFileSync(join(test.options.dataDir, "pglite", "postmaster.pid"), "");
  test.store = await openStore(test.options);
  await test.store.ping();
  await test.dispose();
});

describe("gateways that start together", () => {
  const postgres = STORE_KINDS.find(({ kind }) => kind === "postgres")!;

  it.skipIf(postgres.skip)("make the schema once", async () => {
    const test = await postgres.open();
    try {
      await sql`DROP SCHEMA public CASCADE; CREATE SCHEMA public`.execute(test.store.db);
      const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(test.options)));
      const { rows } = await sql`SELECT number FROM schema_migration`.execute(test.store.db);
      expect(rows).toHaveLength(readMigrations().length);
      await Promise.all(stores.map((store) => store.close()));
    } finally {
      await test.dispose();
    }
  });

  it.skipIf(postgres.skip)("say so when the database will not have them", async () => {
    const test = await postgres.open();
    try {
      const nowhere = new URL(test.options.databaseUrl!);
      nowhere.pathname = "/nowhere";
      const nobody = new URL(test.options.databaseUrl!);
      nobody.username = "nobody";
      for (const databaseUrl of [nowhere.href, nobody.href])
        await expect(openStore({ ...test.options, databaseUrl })).rejects.toMatchObject({
          code: "refused",
          message: expect.stringMatching(/^the database at postgres:.* says: .*(?:nowhere|nobody).* does not exist$/),
        });
    } finally {
      await test.dispose();
    }
  });

  it.skipIf(postgres.skip)("close although the network swallows everything", async () => {
    const test = await postgres.open();
    const proxy = await cutProxy(test.options.databaseUrl!);
    try {
      const store = await openStore({ ...test.options, databaseUrl: proxy.url });
      await store.ping();
      proxy.freeze();
      await store.close();
      await expect(store.ping()).rejects.toSatisfy(isStoreAway);
    } finally {
      await proxy.close();
      await test.dispose();
    }
  });

  it("say so when the database is not there", async () => {
    const url = "postgres://someone:hunter2@127.0.0.1:1/evener";
    const error = await openStore({ dataDir: "unused", databaseUrl: url }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("postgres://127.0.0.1:1/evener"),
    });
    expect(String(error)).not.toContain("hunter2");
  });
});
