/** Usage rows for tests, through the same statement as the gateway's own: of requests that nobody was charged for. */
import type { Store } from "../../src/db/open-store.ts";
import { settleItem } from "../../src/ledger/settle-item.ts";
import { settleItems } from "../../src/ledger/statements.ts";
import { usageRow } from "./usage-row.ts";

/** `reservedAt`: by the database's clock; as `startedAt` unless given. */
type Given = Parameters<typeof usageRow>[0] & { reservedAt?: Date };

const MOST_A_STATEMENT = 500;

export async function settleRows(store: Store, given: readonly Given[]): Promise<void> {
  const items = given.map(({ reservedAt, ...some }) => {
    const row = usageRow(some);
    return settleItem(
      row,
      { accountId: null, priceId: null, reservedAt: reservedAt ?? row.startedAt },
      { billed: true, cutBy: null },
    );
  });
  for (let at = 0; at < items.length; at += MOST_A_STATEMENT)
    await settleItems(store, items.slice(at, at + MOST_A_STATEMENT));
}
