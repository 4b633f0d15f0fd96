/** An invoice as one printable page: no scripts, nothing loaded from anywhere, A4 or letter. */
import { CLASS_NAMES, type InvoiceJson, accountLines, alignDecimals } from "./invoice-text.ts";
import type { TokenClass } from "./token-classes.ts";

/** Who sends the invoice; from the configuration. */
export type Issuer = { name: string; lines: readonly string[] };

export function invoiceHtml(invoice: InvoiceJson, issuer: Issuer): string {
  const preliminary = invoice.status === "preliminary";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Invoice ${escape(invoice.number)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<div class="issuer"><strong>${escape(issuer.name)}</strong>${issuer.lines.map((line) => `<br>${escape(line)}`).join("")}</div>
<div class="title"><h1>Invoice</h1><p class="number">${escape(invoice.number)}</p>${
    preliminary ? '<p class="badge">Preliminary</p>' : ""
  }</div>
</header>
<section class="facts">
${fact("Billed to", invoice.tenant)}
${fact("Period (UTC)", period(invoice))}
${fact("Drawn up", day(invoice.drawn_up_at))}
${fact("Requests", count(invoice.requests))}
</section>
${linesTable(invoice)}
${creditsTable(invoice)}
${accountTable(invoice)}
<footer>
${notes(invoice)
  .map((note) => `<p>${escape(note)}</p>`)
  .join("\n")}
</footer>
</main>
</body>
</html>
`;
}

function linesTable({ lines, subtotal_usd, rounding_usd, total_usd }: InvoiceJson): string {
  const amounts = alignDecimals([...lines.map((line) => line.amount_usd), subtotal_usd, rounding_usd]);
  const prices = alignDecimals(lines.length === 0 ? ["0.00"] : lines.map((line) => line.price_per_million_usd));
  const rows = lines.map((line, index) => {
    const model = lines[index - 1]?.model === line.model ? "" : escape(line.model);
    return `<tr${model === "" ? "" : ' class="first"'}><td class="model">${model}</td><td>${
      CLASS_NAMES[line.token_class as TokenClass]
    }</td><td class="n">${count(line.tokens)}</td><td class="n">${prices[index]}</td><td class="n">${grouped(amounts[index] ?? "")}</td></tr>`;
  });
  const sum = (name: string, amount: string, style: string): string =>
    `<tr class="${style}"><td colspan="4">${name}</td><td class="n">${amount}</td></tr>`;
  return `<table>
<thead><tr><th>Model</th><th>Tokens</th><th class="n">Quantity</th><th class="n">USD per million</th><th class="n">Amount, USD</th></tr></thead>
<tbody>
${rows.length === 0 ? '<tr><td colspan="5" class="none">Nothing was charged in this period.</td></tr>' : rows.join("\n")}
</tbody>
<tfoot>
${sum("Subtotal", grouped(amounts.at(-2) ?? ""), "subtotal")}
${sum("Rounding to whole cents", grouped(amounts.at(-1) ?? ""), "rounding")}
${sum("Total", `USD ${grouped(total_usd)}`, "total")}
</tfoot>
</table>`;
}

function creditsTable({ credits }: InvoiceJson): string {
  if (credits.length === 0) return "";
  const amounts = alignDecimals(credits.map((credit) => credit.amount_usd));
  const rows = credits.map(
    (credit, index) =>
      `<tr><td>${day(credit.at)}</td><td>${escape(credit.note ?? "")}</td><td class="n">${grouped(amounts[index] ?? "")}</td></tr>`,
  );
  return `<h2>Payments and credits in this period</h2>
<table class="credits"><thead><tr><th>Date</th><th>Note</th><th class="n">Amount, USD</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table>`;
}

function accountTable({ account, until }: InvoiceJson): string {
  if (account === null) return "";
  const lines = accountLines(account);
  const rows = lines.map(
    ({ name, amount }, index) =>
      `<tr${index === lines.length - 1 ? ' class="closing"' : ""}><td>${name}</td><td class="n">${grouped(amount)}</td></tr>`,
  );
  return `<h2>Account, to ${DAY.format(Date.parse(until) - 1)}</h2>
<table class="credits"><thead><tr><th>Below zero: owed</th><th class="n">Amount, USD</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table>`;
}

function notes(invoice: InvoiceJson): string[] {
  const all = [
    `Amounts above the total are exact. The ledger charged USD ${grouped(invoice.ledger_usd)}, request by request, each to a billionth of a dollar.`,
  ];
  if (invoice.uncharged_requests > 0)
    all.push(
      `${count(invoice.uncharged_requests)} of the requests ${invoice.uncharged_requests === 1 ? "was" : "were"} not charged: no price was set for the model, or the answer failed before it began.`,
    );
  if (invoice.status === "preliminary")
    all.push(
      "Preliminary: the period has not ended, or requests of it are still running or were cut off less than a day ago.",
    );
  return all;
}

function fact(name: string, value: string): string {
  return `<div><dt>${name}</dt><dd>${escape(value)}</dd></div>`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function grouped(amount: string): string {
  const [whole = "", fraction = ""] = amount.replace("-", "").split(".");
  return `${amount.startsWith("-") ? "\u2212" : ""}${whole.replaceAll(/\B(?=(\d{3})+$)/g, ",")}.${fraction}`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

function day(time: string): string {
  return DAY.format(new Date(time));
}

/** As in `1–30 November 2026`: months never have one day. */
function period({ until }: InvoiceJson): string {
  return `1–${DAY.format(Date.parse(until) - 1)}`;
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}

const STYLE = `
@page { size: A4; margin: 18mm 16mm; }
* { box-sizing: border-box; }
body { margin: 0; color: #1a1d21; background: #fff; font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 180mm; margin: 0 auto; padding: 12mm 0; }
header { display: flex; justify-content: space-between; gap: 2rem; margin-bottom: 2.2rem; }
h1 { margin: 0; font-size: 1.9rem; font-weight: 600; letter-spacing: -0.01em; }
h2 { margin: 2.2rem 0 .5rem; font-size: 1rem; font-weight: 600; }
.title { text-align: right; }
.title p { margin: .15rem 0 0; }
.number { color: #5c6670; }
.badge { display: inline-block; padding: .1rem .55rem; border: 1px solid #b45309; border-radius: 3px; color: #b45309; font-size: .8rem; }
.facts { display: grid; grid-template-columns: 1fr auto auto auto; gap: 1rem 2rem; margin-bottom: 2rem; }
.facts div { min-width: 0; }
dt { color: #5c6670; font-size: .8rem; }
dd { margin: 0; font-weight: 500; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
th { padding: .35rem .5rem; border-bottom: 1.5px solid #1a1d21; color: #5c6670; font-size: .8rem; font-weight: 500; text-align: left; }
td { padding: .28rem .5rem; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.first td { border-top: 1px solid #e3e6e9; padding-top: .5rem; }
tbody tr:first-child td { border-top: 0; }
.model { font-weight: 500; overflow-wrap: anywhere; max-width: 55mm; }
.none { padding: 1rem 0; color: #5c6670; }
tfoot td { text-align: right; }
.subtotal td { border-top: 1.5px solid #1a1d21; padding-top: .6rem; }
tr, .facts, header { break-inside: avoid; }
tfoot { display: table-row-group; }
.rounding td { color: #5c6670; }
.total td { padding-top: .5rem; font-size: 1.15rem; font-weight: 600; }
.closing td { border-top: 1.5px solid #1a1d21; font-weight: 600; }
footer { margin-top: 2.4rem; color: #5c6670; font-size: .82rem; }
footer p { margin: .2rem 0; }
thead { display: table-header-group; }
@media screen { main { padding: 12mm 6mm; max-width: 192mm; } }
@media screen and (max-width: 600px) {
  body { font-size: 12px; }
  main { padding: 5mm 3mm; }
  .facts { grid-template-columns: 1fr auto; }
  th, td { padding-left: .25rem; padding-right: .25rem; }
}
@media print { main { padding: 0; max-width: none; } }
`;
