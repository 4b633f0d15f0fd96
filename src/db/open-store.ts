/** Opens the store: Postgres when a URL is given, else PGlite inside the data directory, which this process then owns. */
import { join } from "node:path";
import { CompiledQuery, Kysely } from "kysely";
import { lockDataDir } from "./data-dir-lock.ts";
import { migrate, readMigrations } from "./migrate.ts";
import { pgliteDialect } from "./pglite-dialect.ts";
import { describePostgresUrl, postgresDialect, postgresPool } from "./postgres-dialect.ts";
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
export async function openStore(options: StoreOptions): Promise<Store> {
  return options.databaseUrl === undefined || options.databaseUrl === ""
    ? openEmbedded(options.dataDir)
    : openPostgres(options.databaseUrl);
}

async function openEmbedded(dataDir: string): Promise<Store> {
  const lock = await lockDataDir(dataDir);
  const directory = join(dataDir, "pglite");
  return ready("pglite", new Kysely<Schema>({ dialect: pgliteDialect(directory) }), directory, () => lock.release());
}

async function openPostgres(url: string): Promise<Store> {
  const pool = postgresPool(url);
  return ready("postgres", new Kysely<Schema>({ dialect: postgresDialect(pool) }), describePostgresUrl(url), () => {});
}

async function ready(kind: Store["kind"], db: Kysely<Schema>, where: string, release: () => void): Promise<Store> {
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= db.destroy().finally(release));
  try {
    await migrate(db, readMigrations());
  } catch (error) {
    await close().catch(() => {});
    if (error instanceof StoreError && error.code !== "unavailable") throw error;
    if (!isStoreAway(error)) throw error;
    throw new StoreError("unavailable", `cannot open the database at ${where}: ${reason(error)}`, error);
  }
  return {
    kind,
    db,
    where,
    ping: async () => void (await db.executeQuery(CompiledQuery.raw("SELECT 1"))),
    close,
  };
}

/** A refused connection to several addresses is an AggregateError without a message of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join(", ");
  return error instanceof Error ? error.message : String(error);
}
