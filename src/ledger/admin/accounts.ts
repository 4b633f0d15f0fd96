/** Tenants' accounts as an administrator sees them: terms, balance, and the credits that are paid in. */
import { createHash } from "node:crypto";
import { sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import { MOST_USD, formatUsd } from "../money.ts";
import { type FoundTenant, lockAccount } from "./find-tenant.ts";
import { type Db, rowOf, rowsOf } from "./read-rows.ts";

/** Amounts in nano-USD. */
export type Account = {
  tenantId: string;
  terms: "prepaid" | "postpaid";
  /** Above zero what the tenant has, below what it owes. */
  balance: bigint;
  /** Held for requests in flight. */
  held: bigint;
  /** How much a postpaid tenant may owe; null: no limit. */
  creditLimit: bigint | null;
};

export type Terms = { terms: "prepaid" } | { terms: "postpaid"; creditLimit: bigint | null };

export type Credit = {
  id: string;
  amount: bigint;
  note: string | null;
  at: Date;
  balance: bigint;
  /** False where it had been paid in before, under the same idempotency key. */
  isNew: boolean;
};

/** The gateway's own account that credits come from; 0002_money.sql makes it. */
const CASH = 2n;

export async function accountsByTenant(db: Db, tenantId?: string): Promise<Map<string, Account>> {
  const rows = await rowsOf(
    db,
    sql<AccountRow>`
      SELECT tenant_id, terms, balance, held, floor FROM account
      WHERE tenant_id IS NOT NULL AND (${tenantId ?? null}::text IS NULL OR tenant_id = ${tenantId ?? null})`,
  );
  return new Map(rows.map((row) => [row.tenant_id, toAccount(row)]));
}

/** Gives the tenant other terms; what runs goes on. Prepaid tenants reserve down to zero, postpaid ones down to their limit. */
export async function setTerms(trx: Db, tenant: FoundTenant, terms: Terms): Promise<Account> {
  const floor = terms.terms === "prepaid" ? 0n : terms.creditLimit === null ? null : -terms.creditLimit;
  if (floor !== null && floor > 0n)
    throw new GatewayError("invalid_request", "a credit limit cannot be below zero", { param: "credit_limit_usd" });
  const row = await rowOf(
    trx,
    sql<AccountRow>`
      UPDATE account SET terms = ${terms.terms}, floor = ${floor}::bigint WHERE id = ${tenant.accountId}
      RETURNING tenant_id, terms, balance, held, floor`,
  );
  if (row === undefined) throw new Error(`account ${tenant.accountId} is gone`);
  return toAccount(row);
}

/**
 * On which terms the tenant was at a time, of what the audit log says was set before. Whoever was given none yet is postpaid, as
 * make_account of 0002_money.sql has it.
 */
export async function termsBefore(db: Db, tenant: FoundTenant, time: Date): Promise<Account["terms"]> {
  const set = await rowOf(
    db,
    // In the order of ids: terms are changed under the account's lock, while `at` is when a transaction began.
    sql<Pick<Account, "terms">>`
      SELECT detail ->> 'terms' AS terms FROM audit_log
      WHERE action = 'tenant.terms' AND subject = ${tenant.id} AND at < ${time.toISOString()}::timestamptz
      ORDER BY id DESC LIMIT 1`,
  );
  return set?.terms ?? "postpaid";
}

export type NewCredit = {
  amount: bigint;
  note?: string | undefined;
  /** The same text for the same credit: sent again, it is not paid in twice. */
  idempotencyKey: string;
};

/**
 * Pays an amount in (below zero: out) against the gateway's own cash account. Throws GatewayError `invalid_request` for zero, for
 * another amount under a key that was used, and for a balance beyond MOST_USD.
 */
export async function creditTenant(trx: Db, tenant: FoundTenant, credit: NewCredit): Promise<Credit> {
  const { amount, note, idempotencyKey } = credit;
  if (amount === 0n) throw new GatewayError("invalid_request", "the amount must not be zero", { param: "amount_usd" });
  if (note !== undefined && (note.length > 500 || /[\p{Cc}\p{Cs}]/u.test(note)))
    throw new GatewayError("invalid_request", "the note must be one line of at most 500 characters", { param: "note" });
  const id = `crd_${createHash("sha256").update(`${tenant.id} ${idempotencyKey}`).digest("hex").slice(0, 32)}`;
  await lockAccount(trx, tenant);
  const before = await rowOf(
    trx,
    sql<{ amount: bigint; note: string | null; at: Date; balance: bigint }>`
      SELECT e.amount, e.note, e.at, a.balance FROM ledger_entry e JOIN account a ON a.id = e.account_id
      WHERE e.transaction_id = ${id} AND e.account_id = ${tenant.accountId} AND e.kind = 'credit'`,
  );
  if (before !== undefined) {
    if (before.amount !== amount)
      throw new GatewayError("invalid_request", "that idempotency key was used for a credit of another amount");
    return { id, ...before, isNew: false };
  }
  const row = await rowOf(
    trx,
    sql<{ balance: bigint }>`
      UPDATE account SET balance = balance + ${amount}::bigint WHERE id = ${tenant.accountId} RETURNING balance`,
  );
  // Beyond it a sum of the ledger would not fit 64 bits, and fail the requests of all who are reserved for together.
  if (row !== undefined && (amount > 0n ? row.balance > MOST_USD : row.balance < -MOST_USD))
    throw new GatewayError(
      "invalid_request",
      `the balance would be USD ${formatUsd(row.balance)}; it can be USD ${formatUsd(MOST_USD)} at most, above or below zero`,
      { param: "amount_usd" },
    );
  const [from, to] = amount > 0n ? [CASH, tenant.accountId] : [tenant.accountId, CASH];
  const transfer = await rowOf(
    trx,
    sql<{ at: Date }>`
      INSERT INTO ledger_transfer (transaction_id, kind, from_account, to_account, amount, note)
      VALUES (${id}, 'credit', ${from}, ${to}, ${amount > 0n ? amount : -amount}, ${note ?? null})
      RETURNING at`,
  );
  if (row === undefined || transfer === undefined) throw new Error(`account ${tenant.accountId} is gone`);
  return { id, amount, note: note ?? null, at: transfer.at, balance: row.balance, isNew: true };
}

type AccountRow = {
  tenant_id: string;
  terms: "prepaid" | "postpaid";
  balance: bigint;
  held: bigint;
  floor: bigint | null;
};

function toAccount(row: AccountRow): Account {
  const creditLimit = row.terms === "prepaid" || row.floor === null ? null : -row.floor;
  return { tenantId: row.tenant_id, terms: row.terms, balance: row.balance, held: row.held, creditLimit };
}
