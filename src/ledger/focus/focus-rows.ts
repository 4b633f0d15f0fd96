/** A month's charges of all tenants: by day, key, model, price and class of tokens, and each invoice's rounding, so that they add up to it. */
import { sql } from "kysely";
import { type Db, rowsOf } from "../admin/read-rows.ts";
import { CHARGED, invoiceNumber, roundToCents } from "../invoice/charged.ts";
import { TOKEN_CLASSES, type TokenClass } from "../invoice/token-classes.ts";
import type { Month } from "../invoice/month.ts";

export type FocusUsage = {
  kind: "usage";
  tenantId: string;
  tenant: string;
  keyId: string;
  key: string;
  model: string;
  priceId: bigint;
  /** Midnight, UTC. */
  day: Date;
  tokenClass: TokenClass;
  tokens: bigint;
  /** pico-USD a token. */
  price: bigint;
  invoice: string;
};

export type FocusRounding = {
  kind: "rounding";
  tenantId: string;
  tenant: string;
  /** pico-USD. */
  amount: bigint;
  invoice: string;
};

export type FocusRow = FocusUsage | FocusRounding;

type DayRow = Record<TokenClass | `${TokenClass}_price`, bigint> & {
  tenant_id: string;
  tenant: string;
  key_id: string;
  key: string;
  model: string;
  price_id: bigint;
  day: Date;
  charged: bigint;
};

/** By tenant, day, key, model; a tenant's rounding, where there is one, after its usage. */
export async function focusRows(db: Db, { name, start, end }: Month): Promise<FocusRow[]> {
  const days = await rowsOf(
    db,
    sql<DayRow>`
      SELECT u.tenant_id, t.name AS tenant, u.key_id, coalesce(k.name, u.key_id) AS key, u.model, u.price_id,
        date_trunc('day', u.reserved_at, 'UTC') AS day, sum(u.input_uncached)::bigint AS input_uncached,
        sum(u.cache_read)::bigint AS cache_read, sum(u.cache_write)::bigint AS cache_write, sum(u.output)::bigint AS output,
        v.input_uncached AS input_uncached_price, v.cache_read AS cache_read_price, v.cache_write AS cache_write_price,
        v.output AS output_price, sum(u.cost)::bigint AS charged
      FROM usage_event u JOIN price_version v ON v.id = u.price_id JOIN tenant t ON t.id = u.tenant_id
        LEFT JOIN virtual_key k ON k.id = u.key_id
      WHERE u.reserved_at >= ${start.toISOString()}::timestamptz AND u.reserved_at < ${end.toISOString()}::timestamptz AND ${CHARGED}
      GROUP BY u.tenant_id, t.name, u.key_id, k.name, u.model, u.price_id, 7, v.id
      ORDER BY t.name, u.tenant_id, 7, u.key_id, u.model, u.price_id`,
  );
  const rows: FocusRow[] = [];
  for (const [tenantId, ofTenant] of Map.groupBy(days, (row) => row.tenant_id)) {
    const usage = ofTenant.flatMap((row) => usageOf(row, name));
    const exact = usage.reduce((sum, row) => sum + row.tokens * row.price, 0n);
    const charged = ofTenant.reduce((sum, row) => sum + row.charged, 0n);
    for (const row of usage) rows.push(row);
    const amount = roundToCents(charged) * 1000n - exact;
    const tenant = ofTenant[0]?.tenant ?? tenantId;
    if (amount !== 0n)
      rows.push({ kind: "rounding", tenantId, tenant, amount, invoice: invoiceNumber(tenantId, name) });
  }
  return rows;
}

function usageOf(row: DayRow, month: string): FocusUsage[] {
  return TOKEN_CLASSES.filter((tokenClass) => row[tokenClass] > 0n).map((tokenClass) => ({
    kind: "usage",
    tenantId: row.tenant_id,
    tenant: row.tenant,
    keyId: row.key_id,
    key: row.key,
    model: row.model,
    priceId: row.price_id,
    day: row.day,
    tokenClass,
    tokens: row[tokenClass],
    price: row[`${tokenClass}_price`],
    invoice: invoiceNumber(row.tenant_id, month),
  }));
}
