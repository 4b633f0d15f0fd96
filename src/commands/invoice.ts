/** `evener invoice --tenant T --month YYYY-MM`: a table, JSON, CSV, or a page to print. */
import type { Command } from "commander";
import { z } from "zod";
import { CLASS_NAMES, accountLines, alignDecimals } from "../ledger/invoice/invoice-text.ts";
import { TOKEN_CLASSES } from "../ledger/invoice/token-classes.ts";
import { adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const Invoice = z.object({
  number: z.string(),
  tenant: z.string(),
  terms: z.enum(["prepaid", "postpaid"]),
  month: z.string(),
  status: z.enum(["preliminary", "final"]),
  requests: z.int(),
  uncharged_requests: z.int(),
  lines: z.array(
    z.object({
      model: z.string(),
      token_class: z.enum(TOKEN_CLASSES),
      tokens: z.int(),
      price_per_million_usd: z.string(),
      amount_usd: z.string(),
    }),
  ),
  subtotal_usd: z.string(),
  rounding_usd: z.string(),
  total_usd: z.string(),
  ledger_usd: z.string(),
  credits: z.array(z.object({ at: z.string(), amount_usd: z.string(), note: z.string().nullable() })),
  account: z
    .object({ opening_usd: z.string(), paid_in_usd: z.string(), charged_usd: z.string(), closing_usd: z.string() })
    .nullable(),
});

type Options = { tenant: string; month: string; json?: true; csv?: true; html?: true };

export function register(program: Command): void {
  program
    .command("invoice")
    .description("draw up a tenant's invoice for a month (UTC)")
    .requiredOption("--tenant <name>", "who is billed")
    .requiredOption("--month <month>", "as in 2026-11")
    .option("--json", "print JSON")
    .option("--csv", "print CSV")
    .option("--html", "print a page for the browser or the printer")
    .action(async ({ tenant, month, json, csv, html }: Options) => {
      if ([json, csv, html].filter(Boolean).length > 1)
        throw new CliError("--json, --csv and --html exclude each other; give one of them", 2);
      const query = { tenant, month };
      if (csv || html) {
        const text = await adminClient({ patient: true }).text("/invoices", { ...query, format: csv ? "csv" : "html" });
        process.stdout.write(text);
        return;
      }
      const invoice = await adminClient({ patient: true }).get("/invoices", Invoice.loose(), query);
      if (json) return printJson(invoice);
      print(invoiceTable(invoice));
    });
}

function invoiceTable(invoice: z.infer<typeof Invoice>): string {
  const { number, tenant, month, status, lines } = invoice;
  const head = `Invoice ${number} to ${printable(tenant)} for ${month} (UTC)${status === "final" ? "" : ", preliminary"}: ${requests(invoice.requests)}\n`;
  const below = `${creditsTable(invoice)}${accountTable(invoice)}`;
  if (lines.length === 0) return `${head}Nothing was charged.${notCharged(invoice)}${below}`;
  const sums = ["subtotal_usd", "rounding_usd", "total_usd"] as const;
  const amounts = alignDecimals([...lines.map((line) => line.amount_usd), ...sums.map((name) => invoice[name])]);
  const prices = alignDecimals(lines.map((line) => line.price_per_million_usd));
  const names = ["Subtotal", "Rounding to cents", "Total"];
  const table = renderTable({
    columns: [
      { title: "MODEL", most: 48 },
      { title: "TOKENS" },
      { title: "QUANTITY" },
      { title: "USD / MILLION", align: "right" },
      { title: "AMOUNT USD", align: "right" },
    ],
    rows: [
      ...lines.map((line, index) => [
        line.model,
        CLASS_NAMES[line.token_class],
        line.tokens,
        prices[index] ?? "",
        amounts[index] ?? "",
      ]),
      ...names.slice(0, 2).map((name, index) => [name, "", "", "", amounts[lines.length + index] ?? ""]),
    ],
    totals: [names[2] ?? "", "", "", "", invoice.total_usd],
  });
  return `${head}${table}The ledger charged USD ${invoice.ledger_usd}.${notCharged(invoice)}${below}`;
}

function creditsTable({ credits }: z.infer<typeof Invoice>): string {
  if (credits.length === 0) return "";
  const amounts = alignDecimals(credits.map((credit) => credit.amount_usd));
  const table = renderTable({
    columns: [{ title: "DATE" }, { title: "NOTE", most: 48 }, { title: "AMOUNT USD", align: "right" }],
    rows: credits.map(({ at, note }, index) => [at.slice(0, 10), note ?? "", amounts[index] ?? ""]),
  });
  return `\n\nPayments and credits\n${table.trimEnd()}`;
}

function accountTable({ account }: z.infer<typeof Invoice>): string {
  if (account === null) return "";
  const rows = accountLines(account).map(({ name, amount }) => [name, amount]);
  const table = renderTable({
    columns: [{ title: "ACCOUNT" }, { title: "AMOUNT USD", align: "right" }],
    rows: rows.slice(0, -1),
    totals: rows.at(-1) ?? [],
  });
  return `\n\n${table.trimEnd()}`;
}

function notCharged({ uncharged_requests: count }: z.infer<typeof Invoice>): string {
  return count === 0 ? "" : ` ${requests(count)} ${count === 1 ? "was" : "were"} not charged.`;
}

function requests(count: number): string {
  return count === 1 ? "1 request" : `${count.toLocaleString("en-US")} requests`;
}
