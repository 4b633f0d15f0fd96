/**
 * Gets usage rows into the store: many a statement, each exactly once, and none lost to a short absence of the database.
 *
 * A row is kept and tried again until it is durable, also after its `record` has given up waiting (a client must not wait
 * for a database that is away). Only a full backlog, or the end of the process, loses rows.
 */
import { GatewayError } from "../conversation/errors.ts";
import { batcher } from "../db/batcher.ts";
import type { Store } from "../db/open-store.ts";
import { isDataError, isStoreAway } from "../db/store-error.ts";
import { insertUsage } from "./insert-usage.ts";
import type { UsageRow } from "./usage-row.ts";

export type UsageWriterOptions = {
  /** Most rows held in memory. */
  capacity?: number;
  /** How long `record` waits before it rejects (the row stays), in milliseconds. */
  patienceMs?: number;
  /** Pauses between tries while the store is away, in milliseconds; the last one repeats. */
  retryMs?: readonly number[];
  /** Told when a row cannot be kept: its request id and why. For the log. */
  onLost?: (requestId: string, error: unknown) => void;
};

export type UsageWriter = {
  /**
   * Resolves when the row is durable in the store. Rejects with GatewayError `store_unavailable` when the store is away for
   * longer than the patience (the row is written later) or the backlog is full (the row is lost, and `onLost` told); with
   * `internal` when the row itself is not valid.
   */
  record(row: UsageRow): Promise<void>;
  /** Rows that are not durable yet. */
  readonly pending: number;
  /** Waits for the backlog, at most so long; resolves with the number of rows that were lost. */
  close(patienceMs: number): Promise<number>;
};

const MOST_A_STATEMENT = 256;
/** A commit of PGlite costs this process some milliseconds of CPU, whether it holds one row or fifty. */
const EMBEDDED_LINGER_MS = 8;

export function createUsageWriter(store: Store, options: UsageWriterOptions = {}): UsageWriter {
  const { capacity = 50_000, patienceMs = 5_000, retryMs = [50, 200, 500, 1_000], onLost = () => {} } = options;
  let closing = false;
  const wakeUps = new Set<() => void>();

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        wakeUps.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      wakeUps.add(wake);
    });

  const insertPatiently = async (rows: readonly UsageRow[]): Promise<void> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await insertUsage(store, rows);
      } catch (error) {
        if (!isStoreAway(error) || closing) throw error;
        await pause(retryMs[Math.min(attempt, retryMs.length - 1)] ?? 0);
      }
    }
  };

  /** One row that the database refuses must not take the others with it. */
  const insertAll = async (rows: readonly UsageRow[]): Promise<unknown[]> => {
    try {
      await insertPatiently(rows);
      return rows.map(() => undefined);
    } catch (error) {
      if (rows.length === 1 || !isDataError(error)) return rows.map(() => error);
      const middle = rows.length >> 1;
      return [...(await insertAll(rows.slice(0, middle))), ...(await insertAll(rows.slice(middle)))];
    }
  };
  const lingerMs = store.kind === "pglite" ? EMBEDDED_LINGER_MS : 0;
  const writes = batcher(insertAll, MOST_A_STATEMENT, { lingerMs });

  let lost = 0;
  const lose = (row: UsageRow, error: unknown): void => {
    lost++;
    onLost(row.requestId, error);
  };

  return {
    record(row) {
      if (writes.size >= capacity || closing) {
        const error = new GatewayError("store_unavailable", "the gateway's database is away, and its backlog is full");
        lose(row, error);
        return Promise.reject(error);
      }
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(away()), patienceMs);
        void writes.add(row).then((error) => {
          clearTimeout(late);
          if (error === undefined) return resolve();
          lose(row, error);
          reject(isStoreAway(error) ? away(error) : invalid(error));
        });
      });
    },
    get pending() {
      return writes.size;
    },
    async close(closePatienceMs) {
      const timer = setTimeout(() => {
        closing = true;
        for (const wake of wakeUps) wake();
      }, closePatienceMs);
      await writes.idle();
      clearTimeout(timer);
      closing = true;
      return lost;
    },
  };
}

function away(cause?: unknown): GatewayError {
  return new GatewayError("store_unavailable", "the gateway's database is away", { cause });
}

function invalid(cause: unknown): GatewayError {
  return new GatewayError(
    "internal",
    "the usage of this request could not be written; the gateway's log has the details",
    {
      cause,
    },
  );
}
