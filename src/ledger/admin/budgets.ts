/** Budgets of tenants and keys as an administrator sees them: set, listed with what is spent, removed. */
import { type RawBuilder, sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import type { SpendCap } from "../../conversation/spend-cap.ts";
import { type FoundKey, type FoundTenant, findTenant, lockAccount } from "./find-tenant.ts";
import { type Db, rowOf, rowsOf } from "./read-rows.ts";

export type BudgetScope =
  | { type: "tenant"; tenantId: string; tenant: string }
  | { type: "key"; tenantId: string; tenant: string; keyId: string; key: string };

/** Amounts in nano-USD; `spent` and `held` are of the running period. */
export type Budget = {
  id: bigint;
  scope: BudgetScope;
  period: SpendCap["period"];
  amount: bigint;
  spent: bigint;
  held: bigint;
  resetsAt: Date;
  createdAt: Date;
  updatedAt: Date;
};

export type BudgetTarget = { tenant: FoundTenant; key?: FoundKey | undefined };

const CENT = 10_000_000n;

/**
 * Sets the budget of a tenant or key for a period; another one for the same period is replaced. A new one counts its first period from
 * the beginning. Throws GatewayError `invalid_request` for less than zero and for parts of a cent.
 */
export async function setBudget(
  trx: Db,
  { tenant, key }: BudgetTarget,
  { period, amount }: { period: SpendCap["period"]; amount: bigint },
): Promise<{ budget: Budget; before: bigint | null }> {
  if (amount < 0n || amount % CENT !== 0n)
    throw new GatewayError("invalid_request", "a budget is a whole number of cents, 0 or more, as in 20 or 12.50", {
      param: "amount",
    });
  await lockAccount(trx, tenant);
  const keyId = key?.id ?? null;
  const mine = sql`b.tenant_id = ${tenant.id} AND b.key_id IS NOT DISTINCT FROM ${keyId}::text AND b.period = ${period}`;
  const old = await rowOf(trx, sql<{ id: bigint; amount: bigint }>`SELECT b.id, b.amount FROM budget b WHERE ${mine}`);
  if (old === undefined) await insertBudget(trx, { tenantId: tenant.id, keyId, period, amount });
  else
    await sql`UPDATE budget SET amount = ${amount}::bigint, updated_at = clock_timestamp() WHERE id = ${old.id}`.execute(
      trx,
    );
  const [budget] = await readBudgets(trx, mine);
  if (budget === undefined) throw new Error("the budget is gone");
  return { budget, before: old?.amount ?? null };
}

async function insertBudget(
  trx: Db,
  { tenantId, keyId, period, amount }: { tenantId: string; keyId: string | null; period: string; amount: bigint },
): Promise<void> {
  await sql`
    WITH fresh AS (
      INSERT INTO budget (tenant_id, key_id, period, amount, since)
      VALUES (${tenantId}, ${keyId}, ${period}, ${amount}::bigint, period_start(${period}, utc_day(clock_timestamp())))
      RETURNING id, since),
    -- All of the account's requests settle under its lock, so these sums cannot move before the budget is seen.
    used AS (
      SELECT coalesce(sum(u.cost), 0)::bigint AS spent FROM usage_event u, fresh f
      WHERE u.tenant_id = ${tenantId} AND (${keyId}::text IS NULL OR u.key_id = ${keyId})
        AND u.cost > 0 AND u.reserved_at >= f.since::timestamp AT TIME ZONE 'UTC'),
    flying AS (
      SELECT coalesce(sum(h.amount), 0)::bigint AS held FROM hold h, fresh f
      WHERE h.tenant_id = ${tenantId} AND (${keyId}::text IS NULL OR h.key_id = ${keyId})
        AND h.amount > 0 AND h.reserved_at >= f.since::timestamp AT TIME ZONE 'UTC')
    INSERT INTO budget_period (budget_id, start, spent, held)
    SELECT f.id, f.since, used.spent, flying.held FROM fresh f, used, flying`.execute(trx);
}

/** All of them, or a tenant's, its keys' included. */
export async function listBudgets(db: Db, filter: { tenantId?: string | undefined } = {}): Promise<Budget[]> {
  const { tenantId } = filter;
  return readBudgets(db, tenantId === undefined ? sql`true` : sql`b.tenant_id = ${tenantId}`);
}

/** Those that a request with this key is held against. */
export async function budgetsOfKey(
  db: Db,
  { tenantId, keyId }: { tenantId: string; keyId: string },
): Promise<Budget[]> {
  return readBudgets(db, sql`b.tenant_id = ${tenantId} AND (b.key_id IS NULL OR b.key_id = ${keyId})`);
}

/** Throws GatewayError `not_found`, which names the budget as whoever asked did. */
export async function findBudget(db: Db, id: bigint, name = `bud_${id}`): Promise<Budget> {
  const [budget] = await readBudgets(db, sql`b.id = ${id}::bigint`);
  if (budget === undefined)
    throw new GatewayError("not_found", `there is no budget with the id ${name}; list them with: evener budget list`);
  return budget;
}

/** What is held against it is freed by nobody: its periods go with it. Throws GatewayError `not_found`. */
export async function removeBudget(trx: Db, id: bigint): Promise<Budget> {
  const { scope } = await findBudget(trx, id);
  await lockAccount(trx, await findTenant(trx, scope.tenantId));
  const budget = await findBudget(trx, id);
  await sql`DELETE FROM budget WHERE id = ${id}::bigint`.execute(trx);
  return budget;
}

type BudgetRow = {
  id: bigint;
  tenant_id: string;
  tenant: string;
  key_id: string | null;
  key: string | null;
  period: SpendCap["period"];
  amount: bigint;
  spent: bigint;
  held: bigint;
  resets_at: Date;
  created_at: Date;
  updated_at: Date;
};

/** By tenant, the tenant's own first, then by key; within that day, week, month. */
async function readBudgets(db: Db, where: RawBuilder<unknown>): Promise<Budget[]> {
  const rows = await rowsOf(
    db,
    sql<BudgetRow>`
      SELECT b.id, b.tenant_id, t.name AS tenant, b.key_id, k.name AS key, b.period, b.amount, coalesce(p.spent, 0)::bigint AS spent,
        coalesce(p.held, 0)::bigint AS held, period_end(b.period, c.start) AS resets_at, b.created_at, b.updated_at
      FROM budget b
      CROSS JOIN LATERAL (SELECT period_start(b.period, utc_day(clock_timestamp())) AS start) c
      JOIN tenant t ON t.id = b.tenant_id
      LEFT JOIN virtual_key k ON k.id = b.key_id
      LEFT JOIN budget_period p ON p.budget_id = b.id AND p.start = c.start
      WHERE ${where}
      ORDER BY t.name, b.key_id IS NOT NULL, k.name, b.key_id, array_position(ARRAY['day', 'week', 'month'], b.period)`,
  );
  return rows.map(toBudget);
}

function toBudget(row: BudgetRow): Budget {
  const tenant = { tenantId: row.tenant_id, tenant: row.tenant };
  return {
    id: row.id,
    scope:
      row.key_id === null
        ? { type: "tenant", ...tenant }
        : { type: "key", ...tenant, keyId: row.key_id, key: row.key ?? row.key_id },
    period: row.period,
    amount: row.amount,
    spent: row.spent,
    held: row.held,
    resetsAt: row.resets_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
