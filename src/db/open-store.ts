/** Opens the store: Postgres when a URL is given, else PGlite inside the data directory, which this process then owns. */
import { join } from "node:path";
import { Kysely, PostgresDialect } from "kysely";
import { type Connections, type Statement, describePostgresUrl, pglitePool, postgresPool } from "./connection-pool.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import { migrate, readMigrations } from "./migrate.ts";
import type { Schema } from "./schema.ts";
import { StoreError, isStoreAway } from "./store-error.ts";

export type StoreOptions = {
  /** Holds the embedded database (`pglite/`) and its lock; made if it is missing. Not touched when a URL is given. */
  dataDir: string;
  /** `postgres://user:password@host:port/database`. */
  databaseUrl?: string | undefined;
};

export type Store = {
  kind: "pglite" | "postgres";
  db: Kysely<Schema>;
  /** Runs a prepared statement, beside Kysely and cheaper; the values are never part of its text. */
  run<R>(this: void, statement: Statement, values: unknown[]): Promise<R[]>;
  /** For people: a directory, or a URL without user and password. */
  where: string;
  /** Resolves when the database answers; rejects with its error when it does not. For /ready. */
  ping(): Promise<void>;
  /** Lets what runs come to its end, then closes. Safe to call twice. */
  close(): Promise<void>;
};

/**
 * Opens the store and brings its schema up to date.
 * Throws StoreError: `locked`, `unavailable`, `schema_newer`, `migration_changed`.
 */
export async function openStore({ dataDir, databaseUrl }: StoreOptions): Promise<Store> {
  if (databaseUrl !== undefined && databaseUrl !== "")
    return openOn(postgresPool(databaseUrl), {
      kind: "postgres",
      where: describePostgresUrl(databaseUrl),
      release() {},
    });
  const lock = await lockDataDir(dataDir);
  const directory = join(dataDir, "pglite");
  return openOn(pglitePool(directory), { kind: "pglite", where: directory, release: () => lock.release() });
}

async function openOn(
  pool: Connections,
  { kind, where, release }: { kind: Store["kind"]; where: string; release: () => void },
): Promise<Store> {
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= db.destroy().finally(release));
  try {
    await migrate(db, readMigrations());
  } catch (error) {
    await close().catch(() => {});
    if (!isStoreAway(error)) throw error;
    throw new StoreError("unavailable", `cannot open the database at ${where}: ${reason(error)}`, error);
  }
  return {
    kind,
    db,
    run: pool.run,
    where,
    ping: async () => void (await pool.run(PING, [])),
    close,
  };
}

const PING: Statement = { name: "ping", text: "SELECT 1" };

/** A refused connection to several addresses is an AggregateError without a message of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join(", ");
  return error instanceof Error ? error.message : String(error);
}
