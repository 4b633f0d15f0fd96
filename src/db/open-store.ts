/** Opens the store: Postgres when a URL is given, else PGlite inside the data directory, which this process then owns. */
import { join } from "node:path";
import { Kysely, PostgresDialect, type PostgresPool } from "kysely";
import { type Connections, type Statement, describePostgresUrl, pglitePool, postgresPool } from "./connection-pool.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import { migrate, readMigrations } from "./migrate.ts";
import type { Schema } from "./schema.ts";
import { StoreError, isRefusal, isStoreAway, tlsProblem } from "./store-error.ts";
import { untilAborted } from "./until-aborted.ts";

export type { Statement } from "./connection-pool.ts";

export type StoreOptions = {
  /** Holds the embedded database (`pglite/`) and its lock; made if it is missing. Not touched when a URL is given. */
  dataDir: string;
  /** `postgres://user:password@host:port/database`. */
  databaseUrl?: string | undefined;
};

export type Store = {
  kind: "pglite" | "postgres";
  db: Kysely<Schema>;
  /** As `db`, without a limit of time for a statement: for what reads the whole ledger. Its connections are not those of requests. */
  patient: Kysely<Schema>;
  /** This store for somebody who may leave: when the signal is aborted, what runs on `patient` for them ends, on Postgres also amid a statement. */
  until(this: void, signal: AbortSignal): Store;
  /** Runs a prepared statement, beside Kysely and cheaper; the values are never part of its text. */
  run<R>(this: void, statement: Statement, values: unknown[]): Promise<R[]>;
  /** `lost` is called when a connection broke, and what was heard over it may not be so any more. Who uses one then hears of it by its error. Call the result to hear no more of it. */
  onLost(this: void, lost: () => void): () => void;
  /** For people: a directory, or a URL without user and password. */
  where: string;
  /** Resolves when the database answers; rejects with its error when it does not. For /ready. */
  ping(): Promise<void>;
  /** Lets what runs come to its end (a patient statement only for seconds), then closes. Safe to call twice. */
  close(): Promise<void>;
};

/**
 * Opens the store and brings its schema up to date.
 * Throws StoreError: `locked`, `unavailable`, `refused`, `schema_newer`, `migration_changed`.
 */
export async function openStore({ dataDir, databaseUrl }: StoreOptions): Promise<Store> {
  if (databaseUrl !== undefined && databaseUrl !== "") {
    const where = describePostgresUrl(databaseUrl);
    const patientPool = postgresPool(databaseUrl, { patient: true });
    const patient = kyselyOn(patientPool);
    try {
      await bringUpToDate(patient, where);
    } catch (error) {
      await patient.destroy();
      throw error;
    }
    const pool = postgresPool(databaseUrl, { patient: false });
    return storeOn(pool, {
      kind: "postgres",
      patientPool,
      patient,
      where,
      release: () => patient.destroy(),
    });
  }
  const lock = await lockDataDir(dataDir);
  const where = join(dataDir, "pglite");
  const store = storeOn(pglitePool(where), { kind: "pglite", where, release: async () => lock.release() });
  try {
    await bringUpToDate(store.db, where);
    return store;
  } catch (error) {
    await store.close().catch(() => {});
    throw error;
  }
}

function kyselyOn(pool: PostgresPool): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

function storeOn(
  pool: Connections,
  {
    kind,
    where,
    release,
    patientPool = pool,
    patient,
  }: {
    kind: Store["kind"];
    where: string;
    release: () => Promise<void>;
    patientPool?: Connections;
    patient?: Kysely<Schema>;
  },
): Store {
  const db = kyselyOn(pool);
  const close = async (): Promise<void> => {
    try {
      await db.destroy();
    } finally {
      await release();
    }
  };
  let closing: Promise<void> | undefined;
  const store: Store = {
    kind,
    db,
    patient: patient ?? db,
    until: (signal) => ({ ...store, patient: kyselyOn(untilAborted(patientPool, signal)) }),
    run: pool.run,
    onLost: pool.onLost,
    where,
    ping: async () => void (await pool.run(PING, [])),
    close: () => (closing ??= close()),
  };
  return store;
}

async function bringUpToDate(db: Kysely<Schema>, where: string): Promise<void> {
  try {
    await migrate(db, readMigrations());
  } catch (error) {
    if (isStoreAway(error))
      throw new StoreError("unavailable", `cannot open the database at ${where}: ${reason(error)}`, error);
    if (isRefusal(error)) throw new StoreError("refused", `the database at ${where} says: ${reason(error)}`, error);
    const problem = tlsProblem(error);
    if (problem !== undefined) throw new StoreError("refused", `the database at ${where} ${problem}`, error);
    throw error;
  }
}

const PING: Statement = { name: "ping", text: "SELECT 1" };

/** A refused connection to several addresses is an AggregateError without a message of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join(", ");
  return error instanceof Error ? error.message : String(error);
}
