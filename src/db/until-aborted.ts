/** Work for somebody who may leave before it is done: what they wait for then ends in the database as well. */
import type { PostgresPool, PostgresPoolClient } from "kysely";
import { StoreError } from "./store-error.ts";

/** A connection whose running statement can be ended. It is then not used again; where none can be, it runs to its end. */
export type CancellableClient = PostgresPoolClient & { cancel(): void };

/**
 * Connections of the same pool, which end their statements and begin no others once the signal is aborted: both reject, the latter with
 * StoreError `cancelled`.
 */
export function untilAborted(pool: PostgresPool, signal: AbortSignal): PostgresPool {
  const check = (): void => {
    if (signal.aborted) throw new StoreError("cancelled", "whoever asked for it has left");
  };
  return {
    async connect() {
      check();
      const client = (await pool.connect()) as CancellableClient;
      const cancel = (): void => client.cancel();
      const query = (statement: string, values: readonly unknown[]): unknown => {
        // What is begun is undone all the same: an embedded database's connection is used by others after.
        if (statement !== "rollback") check();
        return client.query(statement, values);
      };
      const release = (): void => {
        signal.removeEventListener("abort", cancel);
        client.release();
      };
      signal.addEventListener("abort", cancel, { once: true });
      return { query, release } as PostgresPoolClient;
    },
    end: () => Promise.resolve(),
  };
}
