/**
 * Knows how Evener connects: to a Postgres server or to PGlite's worker, through the same driver, so that both give the same values
 * and the same errors. Only what is below the socket differs.
 */
import { Socket } from "node:net";
import type { PostgresPool, PostgresPoolClient } from "kysely";
import {
  type ClientBase,
  type ClientConfig,
  DatabaseError,
  Pool,
  type PoolClient,
  type QueryConfig,
  type QueryResult,
  types,
} from "pg";
import { cancelStatement } from "./cancel-statement.ts";
import { openSockets } from "./open-sockets.ts";
import { PgliteStream } from "./pglite-stream.ts";

/** Writers are batched, so a gateway needs few; a hundred gateways must still fit a server's default of 100. */
const CONNECTIONS = 8;
/** Of those that wait as long as it takes: reports and checks, which nobody runs by the dozen. */
const PATIENT_CONNECTIONS = 4;
/** Without a limit, only the operating system finds out that the server is gone: it asks after so long a silence. */
const KEEP_ALIVE_MS = 10_000;
/** How long a server may take to say goodbye before the connection is cut; a network that drops packets never does. */
const CLOSE_MS = 3_000;
/** How often a server looks whether a gateway that waits for a long statement is still there. */
const LOOK_FOR_US = "SET client_connection_check_interval = '5s'";

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

/**
 * `patient` waits for a statement as long as it takes, as migrations, checks and reports of a large ledger do; its end cuts what
 * still runs. Limits are kept on this side only; as startup parameters (`statement_timeout`) poolers refuse them.
 */
export function postgresPool(url: string, { patient }: { patient: boolean }): Connections {
  const sockets = openSockets();
  const cut = (): Promise<void> => sockets.closed(CLOSE_MS);
  const connections = keepGood(
    new Pool({
      connectionString: url,
      stream: () => sockets.track(new Socket()),
      application_name: "evener",
      max: patient ? PATIENT_CONNECTIONS : CONNECTIONS,
      connectionTimeoutMillis: 3_000,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      // The pool waits for what it returns; its types do not say so.
      ...(patient ? { onConnect: beLookedFor as (client: ClientBase) => void } : { query_timeout: 10_000 }),
      types: TYPES,
    }),
    { closed: cut, cancel: cancelStatement },
  );
  if (!patient) return connections;
  const end = async (): Promise<void> => void (await Promise.all([connections.end(), cut()]));
  return { ...inTurn(connections, PATIENT_CONNECTIONS), end };
}

/** A gateway that was killed cannot say that nobody waits any more. Servers before Postgres 14, and on systems that cannot tell, do not look. */
async function beLookedFor(client: ClientBase): Promise<void> {
  try {
    await client.query(LOOK_FOR_US);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
  }
}

/** Lets so many have a connection at a time. The others wait for their turn as long as it takes; pg's pool gives them as long as it gives a server to connect. */
function inTurn(connections: Connections, places: number): Connections {
  let free = places;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  };
  return {
    ...connections,
    async connect() {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        const client = await connections.connect();
        const release = (): void => {
          client.release();
          leave();
        };
        return { ...client, release };
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
}

/** PGlite has one connection: who takes it has it alone. A worker that died is replaced, and Postgres recovers from its log. */
export function pglitePool(directory: string): Connections {
  const sockets = openSockets();
  return keepGood(
    new Pool({
      // Two workers in one directory would be as bad as two processes: one that dies is gone before the next opens.
      stream: () => sockets.track(new PgliteStream(directory, sockets.closed())),
      ssl: false,
      user: "postgres",
      max: 1,
      idleTimeoutMillis: 0,
      types: TYPES,
    }),
    // One statement is all that it does at a time: whoever could end it would wait behind it.
    { closed: () => sockets.closed() },
  );
}

/** A statement of the hot path: parsed and planned once a connection, under its name. */
export type Statement = { name: string; text: string };

/** What Kysely takes connections from, with prepared statements beside. */
export type Connections = PostgresPool & {
  run<R>(this: void, statement: Statement, values: unknown[]): Promise<R[]>;
  /** `lost` is called when a connection breaks that nobody was using, as all do when the server dies. Call the result to hear no more of it. */
  onLost(this: void, lost: () => void): () => void;
};

/**
 * Decides which connections are used again. One on which the server answered with an error is as good as before (pg's own
 * pool throws it away, which on PGlite means opening the database anew); one that broke or timed out still waits for its answer,
 * and the next user would wait behind it.
 */
function keepGood(
  pool: Pool,
  { closed, cancel }: { closed: () => Promise<void>; cancel?: (client: PoolClient) => void },
): Connections {
  // Who uses a broken connection gets the error from the statement; nobody else needs to hear of it.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));

  const take = async () => {
    const client = await pool.connect();
    let broken: Error | undefined;
    const query = async (statement: string | QueryConfig, values?: unknown[]): Promise<QueryResult> => {
      try {
        return await client.query(statement, values);
      } catch (error) {
        if (!(error instanceof DatabaseError)) broken = error instanceof Error ? error : new Error(String(error));
        throw error;
      }
    };
    return {
      query,
      cancel() {
        if (cancel === undefined) return;
        broken = new Error("a statement was cancelled");
        cancel(client);
      },
      release: () => client.release(broken),
    };
  };

  return {
    onLost(lost) {
      pool.on("error", lost);
      return () => void pool.off("error", lost);
    },
    // Kysely would also accept a cursor, which nothing here asks for.
    connect: take as unknown as () => Promise<PostgresPoolClient>,
    async run<R>(statement: Statement, values: unknown[]): Promise<R[]> {
      const connection = await take();
      try {
        const { rows } = await connection.query({ ...statement, values });
        return rows as R[];
      } finally {
        connection.release();
      }
    },
    async end() {
      await pool.end();
      await closed();
    },
  };
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
