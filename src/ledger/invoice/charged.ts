/** What invoices and exports have in common: which usage rows are charged, how an amount comes to whole cents, how invoices are numbered. */
import { sql } from "kysely";

/**
 * For `usage_event u` beside `price_version v`. A row that cost nothing though its tokens have a price was voided: its tokens stand on
 * no invoice.
 */
export const CHARGED = sql<boolean>`(u.price_id IS NOT NULL AND (u.cost > 0 OR cost_of(v, u.input_uncached, u.cache_read, u.cache_write, u.output) = 0))`;

const CENT = 10_000_000n;

/** nano-USD, half up. */
export function roundToCents(nano: bigint): bigint {
  return ((nano + CENT / 2n) / CENT) * CENT;
}

/** The same for a tenant and month whenever it is drawn up. */
export function invoiceNumber(tenantId: string, month: string): string {
  return `EV-${month.replace("-", "")}-${tenantId.slice(4, 12).toUpperCase()}`;
}
