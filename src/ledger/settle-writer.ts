/**
 * Brings settled requests into the database: many a statement, each once. While the database is away it waits and tries again; that
 * nothing is lost meanwhile is the journal's part.
 */
import { GatewayError } from "../conversation/errors.ts";
import { batcher } from "../db/batcher.ts";
import type { Store } from "../db/open-store.ts";
import { StoreError, isDataError, isStoreAway } from "../db/store-error.ts";
import type { Presence } from "./presence.ts";
import type { SettleItem } from "./settle-item.ts";
import { settleItems } from "./statements.ts";

export type SettleWriter = {
  /**
   * Resolves when the item is in the database. Rejects with GatewayError `internal` when the database refuses it for what it is, and with
   * StoreError `unavailable` when this was closed before.
   */
  add(item: SettleItem): Promise<void>;
  /** Items that are not in the database yet. */
  readonly pending: number;
  /** Gives what is pending so long, then gives up. */
  close(patienceMs: number): Promise<void>;
};

const MOST_A_STATEMENT = 256;
/** A commit costs the CPU of twenty rows or more, on both stores: what ends within a few milliseconds shares one. */
const WORTH_A_COMMIT = 32;
const LINGER_MS = 8;

export function createSettleWriter(store: Store, presence: Presence): SettleWriter {
  let closing = false;

  const write = async (items: readonly SettleItem[]): Promise<void> => {
    for (;;) {
      await presence.back();
      if (closing) throw new StoreError("unavailable", "the ledger was closed before the database was back");
      try {
        await settleItems(store, items);
        return;
      } catch (error) {
        if (!isStoreAway(error)) throw error;
        presence.fail();
      }
    }
  };

  /** One item that the database refuses must not take the others with it. */
  const writeAll = async (items: readonly SettleItem[]): Promise<unknown[]> => {
    try {
      await write(items);
      return items.map(() => undefined);
    } catch (error) {
      if (items.length === 1 || !isDataError(error)) return items.map(() => error);
      const middle = items.length >> 1;
      return [...(await writeAll(items.slice(0, middle))), ...(await writeAll(items.slice(middle)))];
    }
  };
  const writes = batcher(writeAll, MOST_A_STATEMENT, {
    lanes: store.kind === "pglite" ? 1 : 2,
    enough: WORTH_A_COMMIT,
    lingerMs: LINGER_MS,
  });

  return {
    async add(item) {
      const error = await writes.add(item);
      if (error === undefined) return;
      if (isStoreAway(error)) throw error;
      throw new GatewayError(
        "internal",
        "the usage of this request could not be written; the gateway's log has the details",
        { cause: error },
      );
    },
    get pending() {
      return writes.size;
    },
    async close(patienceMs) {
      const timer = setTimeout(() => {
        closing = true;
        presence.close();
      }, patienceMs);
      await writes.idle();
      clearTimeout(timer);
      closing = true;
    },
  };
}
