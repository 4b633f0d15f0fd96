/** `GET /admin/v1/invoices?tenant=…&month=…` in four forms: JSON, CSV, and a page to print. */
import type { Hono } from "hono";
import { z } from "zod";
import { invoiceCsv } from "../ledger/invoice/invoice-csv.ts";
import { invoiceHtml } from "../ledger/invoice/invoice-html.ts";
import { invoiceJson } from "../ledger/invoice/invoice-text.ts";
import { drawUpInvoice } from "../ledger/invoice/invoice.ts";
import { parseMonth } from "../ledger/invoice/month.ts";
import { filterText, readQuery } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const InvoiceQuery = z.strictObject({
  tenant: filterText,
  month: z.string(),
  format: z.enum(["json", "csv", "html"]).default("json"),
});

export function invoiceRoutes(
  app: Hono<AdminEnv>,
  { store, unknownSince, issuer = { name: "Evener", lines: [] } }: AdminOptions,
): void {
  app.get("/invoices", async (c) => {
    const { tenant, month, format } = readQuery(c, InvoiceQuery);
    const { patient } = store.until(c.req.raw.signal);
    const invoice = invoiceJson(await drawUpInvoice(patient, tenant, parseMonth(month), unknownSince));
    if (format === "json") return c.json(invoice);
    if (format === "csv") return c.body(invoiceCsv(invoice), 200, { "content-type": "text/csv; charset=utf-8" });
    return c.body(invoiceHtml(invoice, issuer), 200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    });
  });
}
