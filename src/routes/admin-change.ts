/** How the admin API changes what money depends on: in one transaction with its audit entry, and durable before it is answered. */
import type { Kysely } from "kysely";
import type { Store } from "../db/open-store.ts";
import type { Schema } from "../db/schema.ts";
import { isStoreAway } from "../db/store-error.ts";
import type { MoneyChange } from "../ledger/money-change.ts";
import { syncEmbedded } from "../ledger/sync-embedded.ts";

/** `change` says what it concerns beside its result. */
export async function moneyChange<T>(
  { store, onMoneyChanged }: { store: Store; onMoneyChanged?: (what: MoneyChange) => void },
  change: (trx: Kysely<Schema>) => Promise<{ concerns: MoneyChange; result: T }>,
): Promise<T> {
  let result: T;
  let committing: MoneyChange | undefined;
  const tell = (): void => {
    if (committing !== undefined) onMoneyChanged?.(committing);
  };
  try {
    result = await store.db.transaction().execute(async (trx) => {
      const changed = await change(trx);
      committing = changed.concerns;
      return changed.result;
    });
  } catch (error) {
    // It may have been committed all the same. What did not come so far has changed nothing.
    if (isStoreAway(error)) tell();
    throw error;
  }
  tell();
  await syncEmbedded(store);
  return result;
}
