/**
 * Brings a database to this program's schema: numbered SQL files, each applied once, in order, in one transaction under an
 * advisory lock, so that gateways that start together do not do it twice.
 */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { CompiledQuery, type Kysely, sql } from "kysely";
import { StoreError } from "./store-error.ts";

export type Migration = { number: number; name: string; text: string; checksum: string };

/** An arbitrary number that only Evener's migrations lock. */
const LOCK = 4_400_518_321n;

/** The migrations beside this file: `0001_what.sql`, numbers without a gap. */
export function readMigrations(directory = new URL("./migrations/", import.meta.url)): Migration[] {
  const files = readdirSync(directory)
    .filter((file) => file.endsWith(".sql"))
    .sort();
  return files.map((name, index) => {
    if (!/^\d{4}_[a-z0-9_]+\.sql$/.test(name) || Number(name.slice(0, 4)) !== index + 1)
      throw new Error(`migrations must be numbered from 0001 without a gap: ${name}`);
    const text = readFileSync(new URL(name, directory), "utf8");
    return { number: index + 1, name, text, checksum: createHash("sha256").update(text).digest("hex") };
  });
}

/**
 * Applies what is missing; returns the names of what was applied. Throws StoreError `schema_newer` when the database was made by
 * a newer program, and `migration_changed` when an applied migration is not the one that this program has.
 */
export async function migrate<S>(db: Kysely<S>, migrations: readonly Migration[]): Promise<string[]> {
  return db.transaction().execute(async (trx) => {
    await sql`SELECT pg_advisory_xact_lock(${LOCK})`.execute(trx);
    await sql`CREATE TABLE IF NOT EXISTS schema_migration (
      number     integer PRIMARY KEY,
      name       text NOT NULL,
      checksum   text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`.execute(trx);
    const { rows } = await sql<{ number: number; name: string; checksum: string }>`
      SELECT number, name, checksum FROM schema_migration ORDER BY number`.execute(trx);
    const applied = new Map(rows.map((row) => [row.number, row]));
    const newest = rows.at(-1);
    if (newest !== undefined && newest.number > migrations.length)
      throw new StoreError(
        "schema_newer",
        `the database is of a newer evener (it has ${newest.name}, this one ends at ${migrations.at(-1)?.name ?? "nothing"}); upgrade this evener`,
      );
    const done: string[] = [];
    for (const { number, name, text, checksum } of migrations) {
      const before = applied.get(number);
      if (before === undefined) {
        await trx.executeQuery(CompiledQuery.raw(text));
        await sql`INSERT INTO schema_migration (number, name, checksum) VALUES (${number}, ${name}, ${checksum})`.execute(
          trx,
        );
        done.push(name);
      } else if (before.checksum !== checksum)
        throw new StoreError(
          "migration_changed",
          `the database was made with another ${before.name} than this evener has; run the evener that made it, or restore its backup`,
        );
    }
    return done;
  });
}
