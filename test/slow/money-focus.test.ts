/** The FOCUS export as the public validator judges it, from requests that were charged through the ledger. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createKey } from "../../src/admission/keys.ts";
import { openStore } from "../../src/db/open-store.ts";
import { focusCsv } from "../../src/ledger/focus/focus-csv.ts";
import { focusRows } from "../../src/ledger/focus/focus-rows.ts";
import { drawUpInvoice } from "../../src/ledger/invoice/invoice.ts";
import { parseMonth } from "../../src/ledger/invoice/month.ts";
import { charge, priceFrom } from "../support/charged.ts";
import { validateFocus } from "../support/focus-validator.ts";

/**
 * What the validator asks of every dataset although it is meant for some: InvoiceId must be null (C-004, for charges without an invoice) and must not
 * be null (C-005, for those with one), both of every row.
 */
const CONTRADICTED = ["InvoiceId-C-004-C"];

it("is accepted, and adds up to the invoices", async () => {
  const folder = mkdtempSync(join(tmpdir(), "evener-focus-"));
  const store = await openStore({ dataDir: folder });
  try {
    const pepper = Buffer.alloc(32, 3);
    const tenants = ["Acme Inc", "Société Générale"];
    await priceFrom(store, "qwen/qwen3", "2026-01-01", [600_001, 60_000, 600_001, 2_400_003]);
    await priceFrom(store, "qwen/qwen3", "2026-03-10", [700_000, 70_000, 700_000, 2_800_000]);
    await priceFrom(store, "free", "2026-01-01", [0, 0, 0, 0]);
    for (const tenant of tenants) {
      const key = await createKey(store, pepper, "gateway", { tenant });
      await charge(
        store,
        Array.from({ length: 30 }, (_unused, n) => ({
          requestId: `req_${tenant}_${n}`,
          tenantId: key.tenantId,
          keyId: key.id,
          model: n % 10 === 0 ? "free" : "qwen/qwen3",
          usage: { inputUncached: 1_000 + n, cacheRead: 70_000 * n, cacheWrite: n % 2, output: 321 * n, reasoning: 0 },
          reservedAt: new Date(Date.UTC(2026, 2, 1 + n, n % 24)),
          ...(n === 5 && { billed: false, outcome: "error" as const }),
        })),
      );
    }
    const month = parseMonth("2026-03");
    const file = join(folder, "focus.csv");
    const text = focusCsv(await focusRows(store.db, month), month, "Ingots & Sons");
    writeFileSync(file, text);

    const { checked, failed, output } = await validateFocus(file);
    expect(failed, output).toEqual(CONTRADICTED);
    expect(checked).toBeGreaterThan(100);

    const cents = (usd: string): bigint => BigInt(usd.replace(".", ""));
    for (const tenant of tenants) {
      const invoice = await drawUpInvoice(store.db, tenant, month);
      const billed = text
        .split("\r\n")
        .filter((line) => line.includes(`,${invoice.tenant.id},`))
        .map((line) => line.slice(0, line.indexOf(",")));
      const pico = billed.reduce((sum, amount) => {
        const [whole = "", fraction = ""] = amount.replace("-", "").split(".");
        const value = cents(`${whole}.${fraction.padEnd(12, "0")}`);
        return amount.startsWith("-") ? sum - value : sum + value;
      }, 0n);
      expect(pico).toBe(invoice.total * 1_000n);
    }
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
