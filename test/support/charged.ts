/** Charged requests for tests, through the same statements as the gateway's own: reserved at the price of a moment, then settled. */
import { sql } from "kysely";
import type { Store } from "../../src/db/open-store.ts";
import { settleItem } from "../../src/ledger/settle-item.ts";
import { settleItems } from "../../src/ledger/statements.ts";
import type { UsageRow } from "../../src/ledger/usage-row.ts";
import { usageRow } from "./usage-row.ts";

export type Charged = Partial<UsageRow> & { requestId: string; reservedAt?: Date; billed?: boolean };

/** Settles each request at the price that was valid when it was reserved. */
export async function charge(store: Store, requests: readonly Charged[]): Promise<void> {
  for (const { reservedAt = new Date(), billed = true, ...given } of requests) {
    const row = usageRow({ startedAt: reservedAt, ...given });
    const { rows } = await sql<{ account: bigint; price: bigint | null }>`
      SELECT a.id AS account, (SELECT v.id FROM price_version v WHERE v.model = ${row.model}
        AND v.valid_from <= ${reservedAt.toISOString()}::timestamptz ORDER BY v.valid_from DESC LIMIT 1) AS price
      FROM account a WHERE a.tenant_id = ${row.tenantId}`.execute(store.db);
    const found = rows[0];
    if (found === undefined) throw new Error(`no account of ${row.tenantId}`);
    const priceId = found.price === null ? null : Number(found.price);
    const terms = { accountId: priceId === null ? null : Number(found.account), priceId, reservedAt };
    await settleItems(store, [settleItem(row, terms, { billed, cutBy: null })]);
  }
}

/** A price from any time on; the admin side adds none in the past. In pico-USD a token. */
export async function priceFrom(
  store: Store,
  model: string,
  validFrom: string,
  [input, read, write, output]: readonly [number, number, number, number],
): Promise<void> {
  await sql`INSERT INTO price_version (model, valid_from, input_uncached, cache_read, cache_write, output, created_by)
    VALUES (${model}, ${validFrom}::timestamptz, ${input}, ${read}, ${write}, ${output}, 'test')`.execute(store.db);
}
