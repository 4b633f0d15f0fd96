/** Usage rows for tests, through the same statement as the gateway's own: of requests that nobody was charged for. */
import type { Store } from "../../src/db/open-store.ts";
import { settleItem } from "../../src/ledger/settle-item.ts";
import { settleItems } from "../../src/ledger/statements.ts";
import { usageRow } from "./usage-row.ts";

const MOST_A_STATEMENT = 500;

export async function settleRows(store: Store, given: readonly Parameters<typeof usageRow>[0][]): Promise<void> {
  const items = given.map((some) => {
    const row = usageRow(some);
    return settleItem(
      row,
      { accountId: null, priceId: null, reservedAt: row.startedAt },
      { billed: true, cutBy: null },
    );
  });
  for (let at = 0; at < items.length; at += MOST_A_STATEMENT)
    await settleItems(store, items.slice(at, at + MOST_A_STATEMENT));
}
