/** `POST /admin/v1/budgets`, `GET /admin/v1/budgets` and `POST /admin/v1/budgets/{id}/remove`. */
import type { Hono } from "hono";
import type { Kysely } from "kysely";
import { z } from "zod";
import { audit } from "../admission/audit.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { Schema } from "../db/schema.ts";
import { type Budget, type BudgetTarget, listBudgets, removeBudget, setBudget } from "../ledger/admin/budgets.ts";
import { findKey, findTenant } from "../ledger/admin/find-tenant.ts";
import type { MoneyChange } from "../ledger/money-change.ts";
import { formatUsd, parseUsd } from "../ledger/money.ts";
import { moneyChange } from "./admin-change.ts";
import { filterText, readBody, readQuery } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const NewBudgetBody = z
  .strictObject({
    tenant: filterText.optional(),
    key: filterText.optional(),
    period: z.enum(["day", "week", "month"]),
    amount_usd: z.string(),
  })
  .refine(({ tenant, key }) => (tenant === undefined) !== (key === undefined), "give either a tenant or a key");
export const BudgetsQuery = z.strictObject({ tenant: filterText.optional() });

export function budgetRoutes(app: Hono<AdminEnv>, options: AdminOptions): void {
  const { store } = options;
  app.post("/budgets", async (c) => {
    const { tenant, key, period, amount_usd } = await readBody(c, NewBudgetBody);
    const amount = parseUsd(amount_usd);
    const budget = await moneyChange(options, async (trx) => {
      const target = key === undefined ? { tenant: await findTenant(trx, tenant ?? "") } : await keyTarget(trx, key);
      return changeBudget(trx, c.get("admin").id, target, { period, amount });
    });
    return c.json(budgetJson(budget));
  });
  app.get("/budgets", async (c) => {
    const { tenant } = readQuery(c, BudgetsQuery);
    const tenantId = tenant === undefined ? undefined : (await findTenant(store.db, tenant)).id;
    return c.json({ data: (await listBudgets(store.db, { tenantId })).map(budgetJson) });
  });
  app.post("/budgets/:id/remove", async (c) => {
    const id = parseBudgetId(c.req.param("id"), "bud_");
    const removed = await moneyChange(options, (trx) => dropBudget(trx, c.get("admin").id, id));
    return c.json(budgetJson(removed));
  });
}

export async function keyTarget(trx: Kysely<Schema>, id: string): Promise<BudgetTarget> {
  const key = await findKey(trx, id);
  return { tenant: key.tenant, key };
}

/** Sets it and notes that in the audit log: what it was, what it is. */
export async function changeBudget(
  trx: Kysely<Schema>,
  actor: string,
  target: BudgetTarget,
  wanted: { period: Budget["period"]; amount: bigint },
): Promise<ChangedBudget> {
  const { budget, before } = await setBudget(trx, target, wanted);
  const detail = { ...budgetDetail(budget), before_usd: before === null ? null : formatUsd(before) };
  await audit(trx, { actor, action: "budget.set", subject: `bud_${budget.id}`, detail });
  return changedBudget(budget);
}

export async function dropBudget(trx: Kysely<Schema>, actor: string, id: bigint): Promise<ChangedBudget> {
  const budget = await removeBudget(trx, id);
  const detail = { ...budgetDetail(budget), amount_usd: null, before_usd: formatUsd(budget.amount) };
  await audit(trx, { actor, action: "budget.remove", subject: `bud_${budget.id}`, detail });
  return changedBudget(budget);
}

type ChangedBudget = { concerns: MoneyChange; result: Budget };

function changedBudget(result: Budget): ChangedBudget {
  const { scope } = result;
  return {
    concerns: { tenantId: scope.tenantId, keyId: scope.type === "key" ? scope.keyId : undefined },
    result,
  };
}

/** Throws GatewayError `not_found` for what is no id at all. */
export function parseBudgetId(text: string, prefix: "bud_" | "spl_"): bigint {
  const digits = text.startsWith(prefix) ? text.slice(prefix.length) : "";
  if (!/^[1-9]\d{0,17}$/.test(digits))
    throw new GatewayError("not_found", `there is no budget with the id ${text}; list them with: evener budget list`);
  return BigInt(digits);
}

function budgetDetail({ scope, period, amount }: Budget): Record<string, string | null> {
  return {
    tenant: scope.tenantId,
    key: scope.type === "key" ? scope.keyId : null,
    period,
    amount_usd: formatUsd(amount),
  };
}

function budgetJson(budget: Budget) {
  const { scope } = budget;
  return {
    id: `bud_${budget.id}`,
    tenant: scope.tenant,
    key: scope.type === "key" ? scope.key : null,
    key_id: scope.type === "key" ? scope.keyId : null,
    period: budget.period,
    amount_usd: formatUsd(budget.amount),
    spent_usd: formatUsd(budget.spent),
    held_usd: formatUsd(budget.held),
    resets_at: budget.resetsAt.toISOString(),
    created_at: budget.createdAt.toISOString(),
    updated_at: budget.updatedAt.toISOString(),
  };
}
