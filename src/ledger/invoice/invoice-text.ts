/** The words and figures of an invoice, the same in every form that it takes: JSON, CSV, table and page. */
import { formatPrice, formatUsd } from "../money.ts";
import type { Invoice } from "./invoice.ts";
import type { TokenClass } from "./token-classes.ts";

export const CLASS_NAMES: Record<TokenClass, string> = {
  input_uncached: "Input",
  cache_read: "Input read from cache",
  cache_write: "Input written to cache",
  output: "Output",
};

/** pico-USD as USD, exact: at least two decimals. */
export function formatPico(pico: bigint): string {
  const digits = (pico < 0n ? -pico : pico).toString().padStart(13, "0");
  const fraction = digits.slice(-12).replace(/0+$/, "").padEnd(2, "0");
  return `${pico < 0n ? "-" : ""}${digits.slice(0, -12)}.${fraction}`;
}

/** Amounts of one column, with as many decimals as the longest of them, so that the points stand under each other. */
export function alignDecimals(amounts: readonly string[]): string[] {
  const decimals = Math.max(...amounts.map((amount) => amount.length - amount.indexOf(".") - 1));
  return amounts.map((amount) => amount.padEnd(amount.indexOf(".") + 1 + decimals, "0"));
}

/** As scripts see it; amounts are exact decimal strings in USD. docs/invoices.md names the fields. */
export function invoiceJson(invoice: Invoice) {
  return {
    number: invoice.number,
    tenant: invoice.tenant.name,
    tenant_id: invoice.tenant.id,
    terms: invoice.terms,
    month: invoice.month.name,
    from: invoice.month.start.toISOString(),
    until: invoice.month.end.toISOString(),
    drawn_up_at: invoice.drawnUp.toISOString(),
    status: invoice.status,
    currency: "USD",
    requests: Number(invoice.requests),
    uncharged_requests: Number(invoice.uncharged),
    lines: invoice.lines.map((line) => ({
      model: line.model,
      token_class: line.tokenClass,
      tokens: Number(line.tokens),
      price_per_million_usd: formatPrice(line.price),
      amount_usd: formatPico(line.amount),
    })),
    subtotal_usd: formatPico(invoice.subtotal),
    rounding_usd: formatPico(invoice.rounding),
    total_usd: formatUsd(invoice.total),
    ledger_usd: formatUsd(invoice.ledger),
    credits: invoice.credits.map(({ id, at, amount, note }) => ({
      id,
      at: at.toISOString(),
      amount_usd: formatUsd(amount),
      note,
    })),
    account: invoice.account && {
      opening_usd: formatUsd(invoice.account.opening),
      paid_in_usd: formatUsd(invoice.account.paidIn),
      charged_usd: formatUsd(-invoice.ledger),
      closing_usd: formatUsd(invoice.account.closing),
    },
  };
}

export type InvoiceJson = ReturnType<typeof invoiceJson>;

/** The account's lines in their order, each with its sign, so that the first three add up to the last; their points under each other. */
export function accountLines(account: NonNullable<InvoiceJson["account"]>): { name: string; amount: string }[] {
  const { opening_usd, paid_in_usd, charged_usd, closing_usd } = account;
  const amounts = alignDecimals([opening_usd, paid_in_usd, charged_usd, closing_usd]);
  const names = ["Balance before", "Paid in", "Charged", "Balance after"];
  return names.map((name, index) => ({ name, amount: amounts[index] ?? "" }));
}
