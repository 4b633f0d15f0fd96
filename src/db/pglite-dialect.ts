/**
 * Kysely's Postgres dialect over the PGlite worker. There is one connection: who has it has it alone until it is released, so
 * a transaction is never mixed with another's statements.
 */
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from "kysely";
import { type PgliteSession, openPglite } from "./pglite-session.ts";

export function pgliteDialect(directory: string): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => pgliteDriver(directory),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

const CHANGES = new Set(["INSERT", "UPDATE", "DELETE", "MERGE"]);

/** Bound to the session it was taken from: a transaction whose worker died must not go on in the next one. */
function connectionTo(session: PgliteSession): DatabaseConnection {
  return {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const { rows, affected, command } = await session.run(query.sql, query.parameters);
      const changed = CHANGES.has(command);
      return { rows: rows as R[], ...(changed && { numAffectedRows: BigInt(affected) }) };
    },
    // eslint-disable-next-line require-yield
    async *streamQuery() {
      throw new Error("the embedded database does not stream rows; read pages");
    },
  };
}

function pgliteDriver(directory: string): Driver {
  let session: PgliteSession | undefined;
  let busy = false;
  const queue: (() => void)[] = [];

  const free = (): void => {
    const next = queue.shift();
    if (next) next();
    else busy = false;
  };
  const statement = async (connection: DatabaseConnection, sql: string): Promise<void> => {
    await connection.executeQuery(CompiledQuery.raw(sql));
  };

  return {
    async init() {
      session = await openPglite(directory);
    },
    async acquireConnection() {
      if (busy) await new Promise<void>((resolve) => queue.push(resolve));
      busy = true;
      try {
        // A worker that died (out of memory, a fault of the engine) is replaced: Postgres recovers from its log.
        if (session === undefined || session.dead) session = await openPglite(directory);
        return connectionTo(session);
      } catch (error) {
        free();
        throw error;
      }
    },
    async releaseConnection() {
      free();
    },
    async beginTransaction(connection, settings: TransactionSettings) {
      const level = settings.isolationLevel === undefined ? "" : ` isolation level ${settings.isolationLevel}`;
      const mode = settings.accessMode === undefined ? "" : ` ${settings.accessMode}`;
      await statement(connection, `start transaction${level}${mode}`);
    },
    commitTransaction: (connection) => statement(connection, "commit"),
    rollbackTransaction: (connection) => statement(connection, "rollback"),
    async destroy() {
      await session?.close();
      session = undefined;
    },
  };
}
