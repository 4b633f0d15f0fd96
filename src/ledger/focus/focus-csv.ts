/**
 * Writes charges as FOCUS 1.2 (FinOps Open Cost and Usage Specification, dataset CostAndUsage). A tenant is a billing account, its keys are
 * sub accounts, a model is a SKU.
 */
import { csv } from "../csv.ts";
import { CLASS_NAMES, formatPico } from "../invoice/invoice-text.ts";
import type { Month } from "../invoice/month.ts";
import type { FocusRounding, FocusRow, FocusUsage } from "./focus-rows.ts";

type Cells = Record<(typeof COLUMNS)[number], string | null>;

const COLUMNS = [
  "BilledCost",
  "BillingAccountId",
  "BillingAccountName",
  "BillingAccountType",
  "BillingCurrency",
  "BillingPeriodEnd",
  "BillingPeriodStart",
  "ChargeCategory",
  "ChargeClass",
  "ChargeDescription",
  "ChargeFrequency",
  "ChargePeriodEnd",
  "ChargePeriodStart",
  "ConsumedQuantity",
  "ConsumedUnit",
  "ContractedCost",
  "ContractedUnitPrice",
  "EffectiveCost",
  "InvoiceId",
  "InvoiceIssuerName",
  "ListCost",
  "ListUnitPrice",
  "PricingCategory",
  "PricingQuantity",
  "PricingUnit",
  "ProviderName",
  "PublisherName",
  "ServiceCategory",
  "ServiceName",
  "ServiceSubcategory",
  "SkuId",
  "SkuMeter",
  "SkuPriceDetails",
  "SkuPriceId",
  "SubAccountId",
  "SubAccountName",
  "SubAccountType",
  "x_BillingAccountName",
  "x_SubAccountName",
] as const;

export function focusCsv(rows: readonly FocusRow[], month: Month, issuer: string): string {
  const cells = rows.map((row) => {
    const of = row.kind === "usage" ? usageCells(row) : roundingCells(row, month);
    return { ...commonCells(row, month, issuer), ...of } as Cells;
  });
  return csv([[...COLUMNS], ...cells.map((row) => COLUMNS.map((column) => row[column] ?? null))]);
}

function commonCells(row: FocusRow, month: Month, issuer: string): Partial<Cells> {
  return {
    BillingAccountId: row.tenantId,
    BillingAccountName: ascii(row.tenant, row.tenantId),
    BillingAccountType: "Tenant",
    BillingCurrency: "USD",
    BillingPeriodStart: time(month.start),
    BillingPeriodEnd: time(month.end),
    InvoiceId: row.invoice,
    InvoiceIssuerName: ascii(issuer, "-"),
    ProviderName: ascii(issuer, "-"),
    PublisherName: ascii(issuer, "-"),
    ServiceCategory: "AI and Machine Learning",
    ServiceName: "Model inference",
    ServiceSubcategory: "Generative AI",
    x_BillingAccountName: row.tenant,
  };
}

const DAY_MS = 86_400_000;

function usageCells(row: FocusUsage): Partial<Cells> {
  const meter = CLASS_NAMES[row.tokenClass];
  const tokens = `${row.tokens}.0`;
  const sku = `${row.model}/${row.tokenClass}`;
  return {
    ...costs(row.tokens * row.price),
    ChargeCategory: "Usage",
    ChargeDescription: `${meter} tokens of ${row.model}`,
    ChargeFrequency: "Usage-Based",
    ChargePeriodStart: time(row.day),
    ChargePeriodEnd: time(new Date(row.day.getTime() + DAY_MS)),
    ConsumedQuantity: tokens,
    ConsumedUnit: "Tokens",
    ContractedUnitPrice: formatPico(row.price),
    ListUnitPrice: formatPico(row.price),
    PricingCategory: "Standard",
    PricingQuantity: tokens,
    PricingUnit: "Tokens",
    SkuId: sku,
    SkuMeter: `${meter} tokens`,
    SkuPriceDetails: JSON.stringify({ x_Model: row.model, x_TokenClass: row.tokenClass }),
    SkuPriceId: `prc_${row.priceId}/${row.tokenClass}`,
    SubAccountId: row.keyId,
    SubAccountName: ascii(row.key, row.keyId),
    SubAccountType: "Key",
    x_SubAccountName: row.key,
  };
}

function roundingCells(row: FocusRounding, month: Month): Partial<Cells> {
  return {
    ...costs(row.amount),
    ChargeCategory: "Adjustment",
    ChargeDescription: "Rounding of the invoice to whole cents",
    ChargeFrequency: "Recurring",
    ChargePeriodStart: time(month.start),
    ChargePeriodEnd: time(month.end),
  };
}

/** There are no discounts: what is listed is what is billed. */
function costs(pico: bigint): Partial<Cells> {
  const amount = formatPico(pico);
  return { BilledCost: amount, ContractedCost: amount, EffectiveCost: amount, ListCost: amount };
}

/** ISO 8601 without fractions, as the specification has it. */
function time(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

/**
 * A name as FOCUS's own columns take it, which are ASCII: without its accents, or `otherwise` where other scripts leave something that is
 * no name. The `x_` columns beside them have it as it is.
 */
function ascii(name: string, otherwise: string): string {
  const plain = name.normalize("NFKD").replaceAll(/\p{Mark}/gu, "");
  return /^[\x20-\x7e]*$/.test(plain) ? plain : otherwise;
}
