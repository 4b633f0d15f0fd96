/** Knows how Evener connects to a Postgres server: how many connections, how long it waits, what it shows of the URL. */
import { PostgresDialect } from "kysely";
import { Pool, types } from "pg";
import { parseInt8 } from "./type-parsers.ts";

/** Writers are batched, so a gateway needs few; a hundred gateways must still fit a server's default of 100. */
const CONNECTIONS = 8;

export function postgresPool(url: string): Pool {
  const pool = new Pool({
    connectionString: url,
    application_name: "evener",
    max: CONNECTIONS,
    connectionTimeoutMillis: 3_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    // The server gives up first, so that a statement is not still running when the program has stopped waiting for it.
    statement_timeout: 10_000,
    query_timeout: 12_000,
    idle_in_transaction_session_timeout: 30_000,
    types: {
      getTypeParser: (oid, format) =>
        oid === types.builtins.INT8 && format !== "binary" ? parseInt8 : types.getTypeParser(oid, format),
    },
  });
  // An idle connection that breaks is dropped from the pool; who needs one next gets a new one, or the error.
  pool.on("error", () => {});
  return pool;
}

export function postgresDialect(pool: Pool): PostgresDialect {
  return new PostgresDialect({ pool });
}

/** The URL without user, password and options, for people. */
export function describePostgresUrl(url: string): string {
  try {
    const { hostname, port, pathname, searchParams } = new URL(url);
    const host = hostname === "" ? (searchParams.get("host") ?? "localhost") : hostname;
    return `postgres://${host}${port === "" ? "" : `:${port}`}${pathname}`;
  } catch {
    return "postgres";
  }
}
