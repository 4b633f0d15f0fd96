/**
 * A tenant's invoice for a month, from the usage rows that the ledger charged: what stands on it is exact, and adds up to the
 * ledger's own entries, or there is no invoice.
 */
import { sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import { type Account, termsBefore } from "../admin/accounts.ts";
import { type FoundTenant, findTenant } from "../admin/find-tenant.ts";
import { type Db, rowOf, rowsOf } from "../admin/read-rows.ts";
import { CHARGED, invoiceNumber, roundToCents } from "./charged.ts";
import type { Month } from "./month.ts";
import { TOKEN_CLASSES, type TokenClass } from "./token-classes.ts";

/** One model at one price, one class of tokens. */
export type InvoiceLine = {
  model: string;
  tokenClass: TokenClass;
  tokens: bigint;
  /** pico-USD a token. */
  price: bigint;
  /** pico-USD, exact. */
  amount: bigint;
};

export type InvoiceCredit = { id: string; at: Date; /** nano-USD. */ amount: bigint; note: string | null };

export type Invoice = {
  /** The same whenever it is drawn up. */
  number: string;
  tenant: { id: string; name: string };
  /** As the month ended: what is agreed later changes no invoice. */
  terms: Account["terms"];
  month: Month;
  drawnUp: Date;
  /** `preliminary` while the month runs, a request of it does, or what was just recovered of one may give way to its own truth. */
  status: "preliminary" | "final";
  requests: bigint;
  /** Requests with tokens that were not charged: the model had no price, or the answer failed before its first byte. */
  uncharged: bigint;
  lines: InvoiceLine[];
  /** pico-USD: the sum of the lines, exact. */
  subtotal: bigint;
  /** nano-USD: the sum of what the ledger charged, request by request. */
  ledger: bigint;
  /** nano-USD: `ledger` in whole cents, half up. */
  total: bigint;
  /** pico-USD: from the subtotal to the total. The only rounding on the page. */
  rounding: bigint;
  /** Paid in (or, below zero, out) in the month. */
  credits: InvoiceCredit[];
  /** Null where nothing was ever paid in: who books payments elsewhere has no balance here that says anything. */
  account: AccountStatement | null;
};

/**
 * How the month changed what the tenant has or, below zero, owes; nano-USD. `closing` is `opening` and `paidIn` less what the ledger charged. It is the
 * same whatever terms were agreed during the month.
 */
export type AccountStatement = { opening: bigint; paidIn: bigint; closing: bigint };

/**
 * Draws the invoice up. Throws GatewayError `not_found` for an unknown tenant, and `internal` when rows and ledger do not agree:
 * `evener ledger verify` then says where. `unknownSince`: of the ledger that has requests in flight of which the database does not know.
 */
export async function drawUpInvoice(
  db: Db,
  tenantName: string,
  month: Month,
  unknownSince: (tenantId: string) => Date | undefined = () => undefined,
): Promise<Invoice> {
  // Asked before the database: what it hears of in between is in one of the two answers.
  const unknown = unknownSince((await findTenant(db, tenantName)).id);
  const runs = unknown !== undefined && unknown < month.end;
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (trx) => {
      const tenant = await findTenant(trx, tenantName);
      const lines = await readLines(trx, tenant, month);
      const totals = await readTotals(trx, tenant, month);
      const subtotal = lines.reduce((sum, line) => sum + line.amount, 0n);
      const ledger = totals.charged;
      if (ledger !== totals.entered) throw disagreement(`rows say ${ledger} nano-USD, entries ${totals.entered}`);
      // Each request was rounded to a nano-USD by at most half of one.
      const apart = subtotal - ledger * 1000n;
      if (apart > totals.charged_requests * 500n || -apart > totals.charged_requests * 500n)
        throw disagreement(`lines and ledger are ${apart} pico-USD apart`);
      const total = roundToCents(ledger);
      const credits = await readCredits(trx, tenant, month);
      return {
        number: invoiceNumber(tenant.id, month.name),
        tenant: { id: tenant.id, name: tenant.name },
        terms: await termsBefore(trx, tenant, month.end),
        month,
        drawnUp: totals.now,
        status: totals.now < month.end || totals.open > 0n || runs ? "preliminary" : "final",
        requests: totals.requests,
        uncharged: totals.uncharged,
        lines,
        subtotal,
        ledger,
        total,
        rounding: total * 1000n - subtotal,
        credits,
        account: await readAccount(trx, tenant, month, { credits, charged: ledger }),
      };
    });
}

function disagreement(how: string): GatewayError {
  return new GatewayError(
    "internal",
    `there is no invoice while usage rows and ledger do not agree (${how}); run: evener ledger verify`,
  );
}

/**
 * So long after a request was recovered from its last checkpoint its gateway, which was frozen or cut off, is expected to tell what became
 * of it.
 */
const TRUTH_WITHIN = "1 day";

/** A request counts in the month in which it was reserved, as for its price and budgets. */
function ofMonth(tenant: FoundTenant, { start, end }: Month) {
  return sql`u.tenant_id = ${tenant.id} AND u.reserved_at >= ${start.toISOString()}::timestamptz
    AND u.reserved_at < ${end.toISOString()}::timestamptz`;
}

async function readLines(trx: Db, tenant: FoundTenant, month: Month): Promise<InvoiceLine[]> {
  const rows = await rowsOf(
    trx,
    sql<{ model: string } & Record<TokenClass | `${TokenClass}_price`, bigint>>`
      SELECT u.model, sum(u.input_uncached)::bigint AS input_uncached, sum(u.cache_read)::bigint AS cache_read,
        sum(u.cache_write)::bigint AS cache_write, sum(u.output)::bigint AS output, v.input_uncached AS input_uncached_price,
        v.cache_read AS cache_read_price, v.cache_write AS cache_write_price, v.output AS output_price, min(v.valid_from) AS since
      FROM usage_event u JOIN price_version v ON v.id = u.price_id
      WHERE ${ofMonth(tenant, month)} AND ${CHARGED}
      GROUP BY u.model, v.input_uncached, v.cache_read, v.cache_write, v.output
      ORDER BY u.model, min(v.valid_from)`,
  );
  return rows.flatMap((row) =>
    TOKEN_CLASSES.filter((tokenClass) => row[tokenClass] > 0n).map((tokenClass) => {
      const tokens = row[tokenClass];
      const price = row[`${tokenClass}_price`];
      return { model: row.model, tokenClass, tokens, price, amount: tokens * price };
    }),
  );
}

type Totals = {
  now: Date;
  requests: bigint;
  charged_requests: bigint;
  uncharged: bigint;
  charged: bigint;
  entered: bigint;
  open: bigint;
};

async function readTotals(trx: Db, tenant: FoundTenant, month: Month): Promise<Totals> {
  const totals = await rowOf(
    trx,
    sql<Totals>`
      WITH mine AS (
        SELECT u.request_id, u.account_id, u.cost, ${CHARGED} AS charged, u.outcome, u.recorded_at,
          greatest(u.input_uncached, u.cache_read, u.cache_write, u.output) > 0 AS worked
        FROM usage_event u LEFT JOIN price_version v ON v.id = u.price_id WHERE ${ofMonth(tenant, month)})
      SELECT now(), count(*) AS requests, count(*) FILTER (WHERE charged) AS charged_requests,
        count(*) FILTER (WHERE NOT charged AND worked) AS uncharged, coalesce(sum(cost), 0)::bigint AS charged,
        (SELECT coalesce(-sum(e.amount), 0)::bigint FROM mine m JOIN ledger_entry e
          ON e.transaction_id = m.request_id AND e.account_id = m.account_id AND e.kind IN ('usage', 'adjustment')) AS entered,
        (SELECT count(*) FROM hold u WHERE ${ofMonth(tenant, month)})
          + count(*) FILTER (WHERE outcome = 'recovered' AND recorded_at > now() - ${TRUTH_WITHIN}::interval) AS open
      FROM mine`,
  );
  if (totals === undefined) throw new Error("sums without a row");
  return totals;
}

async function readCredits(trx: Db, tenant: FoundTenant, { start, end }: Month): Promise<InvoiceCredit[]> {
  return rowsOf(
    trx,
    sql<InvoiceCredit>`
      SELECT transaction_id AS id, at, amount, note FROM ledger_entry
      WHERE account_id = ${tenant.accountId} AND kind = 'credit'
        AND at >= ${start.toISOString()}::timestamptz AND at < ${end.toISOString()}::timestamptz
      ORDER BY at, transaction_id`,
  );
}

async function readAccount(
  trx: Db,
  tenant: FoundTenant,
  { start }: Month,
  { credits, charged }: { credits: readonly InvoiceCredit[]; charged: bigint },
): Promise<AccountStatement | null> {
  const before = await rowOf(
    trx,
    // Usage by when it was reserved, as months count it, and not by when its entry was made.
    sql<{ paid_in: bigint | null; charged: bigint }>`
      SELECT (SELECT sum(amount)::bigint FROM ledger_entry
          WHERE account_id = ${tenant.accountId} AND kind = 'credit' AND at < ${start.toISOString()}::timestamptz) AS paid_in,
        (SELECT coalesce(sum(cost), 0)::bigint FROM usage_hour
          WHERE tenant_id = ${tenant.id} AND hour < ${start.toISOString()}::timestamptz) AS charged`,
  );
  if (before === undefined) throw new Error("sums without a row");
  if (before.paid_in === null && credits.length === 0) return null;
  const opening = (before.paid_in ?? 0n) - before.charged;
  const paidIn = credits.reduce((sum, { amount }) => sum + amount, 0n);
  return { opening, paidIn, closing: opening + paidIn - charged };
}
