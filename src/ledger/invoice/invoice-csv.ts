/**
 * An invoice as CSV: a row a line, then subtotal, rounding and total, so that the column adds up; below them what was paid in, and the balance before
 * and after. Every row says whether it is final.
 */
import { csv } from "../csv.ts";
import type { InvoiceJson } from "./invoice-text.ts";

export function invoiceCsv(invoice: InvoiceJson): string {
  const { status, credits, account } = invoice;
  const head = ["invoice", "tenant", "month", "model", "token_class", "tokens", "price_per_million_usd", "amount_usd"];
  const of = [invoice.number, invoice.tenant, invoice.month];
  const sum = (name: string, amount: string) => [...of, null, name, null, null, amount, status, null, null];
  return csv([
    // Behind the others, for those who count columns.
    [...head, "status", "date", "note"],
    ...invoice.lines.map((line) => [
      ...of,
      line.model,
      line.token_class,
      line.tokens,
      line.price_per_million_usd,
      line.amount_usd,
      status,
      null,
      null,
    ]),
    sum("subtotal", invoice.subtotal_usd),
    sum("rounding", invoice.rounding_usd),
    sum("total", invoice.total_usd),
    ...credits.map(({ at, amount_usd, note }) => [
      ...of,
      null,
      "credit",
      null,
      null,
      amount_usd,
      status,
      at.slice(0, 10),
      note,
    ]),
    ...(account === null
      ? []
      : [sum("balance before", account.opening_usd), sum("balance after", account.closing_usd)]),
  ]);
}
