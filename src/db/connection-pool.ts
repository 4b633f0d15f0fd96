/**
 * Knows how Evener connects: to a Postgres server or to PGlite's worker, through the same driver, so that both give the same values
 * and the same errors. Only what is below the socket differs.
 */
import { type ClientConfig, Pool, types } from "pg";
import { PgliteStream } from "./pglite-stream.ts";

/** Writers are batched, so a gateway needs few; a hundred gateways must still fit a server's default of 100. */
const CONNECTIONS = 8;

/**
 * int8 is always a bigint: money is beyond 2^53 sooner than one thinks, and pg's own default is text. numeric stays text: cast
 * sums to int8 in SQL.
 */
const TYPES: NonNullable<ClientConfig["types"]> = {
  getTypeParser: (oid, format) =>
    oid === types.builtins.INT8 && format !== "binary"
      ? (text: string) => BigInt(text)
      : types.getTypeParser(oid, format),
};

export function postgresPool(url: string): Pool {
  return watched(
    new Pool({
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
      types: TYPES,
    }),
  );
}

/** PGlite has one connection: who takes it has it alone. A worker that died is replaced, and Postgres recovers from its log. */
export function pglitePool(directory: string): Pool {
  return watched(
    new Pool({
      stream: () => new PgliteStream(directory),
      ssl: false,
      user: "postgres",
      max: 1,
      idleTimeoutMillis: 0,
      types: TYPES,
    }),
  );
}

/** An idle connection that breaks is dropped from the pool; who needs one next gets a new one, or the error. */
function watched(pool: Pool): Pool {
  return pool.on("error", () => {});
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
