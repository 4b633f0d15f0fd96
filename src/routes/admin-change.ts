/** How the admin API changes what money depends on: in one transaction with its audit entry, and durable before it is answered. */
import type { Kysely } from "kysely";
import type { Store } from "../db/open-store.ts";
import type { Schema } from "../db/schema.ts";
import { isStoreAway } from "../db/store-error.ts";
import { syncEmbedded } from "../ledger/sync-embedded.ts";

export async function moneyChange<T>(
  { store, onMoneyChanged }: { store: Store; onMoneyChanged?: () => void },
  change: (trx: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  let result: T;
  let committing = false;
  try {
    result = await store.db.transaction().execute(async (trx) => {
      const changed = await change(trx);
      committing = true;
      return changed;
    });
  } catch (error) {
    // It may have been committed all the same. What did not come so far has changed nothing.
    if (committing && isStoreAway(error)) onMoneyChanged?.();
    throw error;
  }
  onMoneyChanged?.();
  await syncEmbedded(store);
  return result;
}
