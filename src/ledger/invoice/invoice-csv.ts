/** An invoice as CSV: a row a line, then subtotal, rounding and total, so that the column adds up. */
import { csv } from "../csv.ts";
import type { InvoiceJson } from "./invoice-text.ts";

export function invoiceCsv(invoice: InvoiceJson): string {
  const head = ["invoice", "tenant", "month", "model", "token_class", "tokens", "price_per_million_usd", "amount_usd"];
  const of = [invoice.number, invoice.tenant, invoice.month];
  return csv([
    head,
    ...invoice.lines.map((line) => [
      ...of,
      line.model,
      line.token_class,
      line.tokens,
      line.price_per_million_usd,
      line.amount_usd,
    ]),
    [...of, null, "subtotal", null, null, invoice.subtotal_usd],
    [...of, null, "rounding", null, null, invoice.rounding_usd],
    [...of, null, "total", null, null, invoice.total_usd],
  ]);
}
