/**
 * `/v1/organizations/spend_limits`: budgets in the shape of Anthropic's spend limits, what applies to each key (`/effective`), and who
 * changed them (`/audit`). Amounts are whole cents in text.
 */
import type { Hono } from "hono";
import { sql } from "kysely";
import { z } from "zod";
import { listKeys } from "../admission/keys.ts";
import { type Budget, type BudgetScope, findBudget, listBudgets } from "../ledger/admin/budgets.ts";
import { findTenant } from "../ledger/admin/find-tenant.ts";
import { rowsOf } from "../ledger/admin/read-rows.ts";
import { parseUsd, wholeCents } from "../ledger/money.ts";
import { formatScaled } from "../ledger/scaled.ts";
import { changeBudget, dropBudget, keyTarget, parseBudgetId } from "./admin-budgets.ts";
import { moneyChange } from "./admin-change.ts";
import { filterText, readBody } from "./admin-input.ts";
import type { AdminOptions } from "./admin.ts";
import { PageQuery, many, one, pageOf, readQueries } from "./organization-input.ts";
import { type OrganizationEnv, adminOf } from "./organization-caller.ts";

export const PERIOD_NAMES = { day: "daily", week: "weekly", month: "monthly" } as const;
const PERIODS = { daily: "day", weekly: "week", monthly: "month" } as const;
const periodName = z.enum(["daily", "weekly", "monthly"]);

export const SpendLimitBody = z.object({
  scope: z.discriminatedUnion(
    "type",
    [
      z.object({ type: z.literal("workspace"), workspace_id: filterText }),
      z.object({ type: z.literal("api_key"), api_key_id: filterText }),
    ],
    { error: "limits are set for a workspace or an api_key" },
  ),
  amount: z.string().regex(/^\d{1,11}$/, 'must be whole cents in text, such as "50000"; to lift a limit, delete it'),
  period: periodName.default("monthly"),
});
export const SpendLimitsQuery = PageQuery.extend({
  workspace_id: one(filterText),
  scope_type: many(z.enum(["workspace", "api_key"])),
});
export const EffectiveQuery = PageQuery.extend({ period: many(periodName), api_key_ids: many(filterText) });
export const AuditQuery = PageQuery.extend({ spend_limit_id: one(filterText) });

export function spendLimitRoutes(app: Hono<OrganizationEnv>, options: AdminOptions): void {
  const { store } = options;
  app.get("/v1/organizations/spend_limits", async (c) => {
    const { workspace_id: tenantId, scope_type, ...page } = readQueries(c, SpendLimitsQuery);
    const all = (await listBudgets(store.db, { tenantId }))
      .map(spendLimitJson)
      .filter((each) => scope_type === undefined || scope_type.includes(each.scope.type));
    return c.json(withCursor(pageOf(all, page), page));
  });
  app.post("/v1/organizations/spend_limits", async (c) => {
    const { scope, amount, period } = await readBody(c, SpendLimitBody);
    const actor = adminOf(c).id;
    const cents = amount.padStart(3, "0");
    const budget = await moneyChange(options, async (trx) => {
      const target =
        scope.type === "workspace"
          ? { tenant: await findTenant(trx, scope.workspace_id) }
          : await keyTarget(trx, scope.api_key_id);
      const nano = parseUsd(`${cents.slice(0, -2)}.${cents.slice(-2)}`);
      return changeBudget(trx, actor, target, { period: PERIODS[period], amount: nano });
    });
    return c.json(spendLimitJson(budget));
  });
  app.get("/v1/organizations/spend_limits/effective", async (c) => {
    const { period, api_key_ids: ids, ...page } = readQueries(c, EffectiveQuery);
    const [keys, budgets] = await Promise.all([listKeys(store), listBudgets(store.db)]);
    const rows = keys
      .filter(
        (key) => key.revokedAt === null && key.tenantArchivedAt === null && (ids === undefined || ids.includes(key.id)),
      )
      .map((key) => ({
        id: key.id,
        rows: effectiveOf(key, budgets).filter((row) => period === undefined || period.includes(row.period)),
      }))
      .filter((key) => key.rows.length > 0);
    // Pages are of keys, so that a key's periods stay together.
    const { data, ...rest } = withCursor(pageOf(rows, page), page);
    return c.json({ ...rest, data: data.flatMap((key) => key.rows) });
  });
  app.get("/v1/organizations/spend_limits/audit", async (c) => {
    const { spend_limit_id: id, ...page } = readQueries(c, AuditQuery);
    const subject = id === undefined ? null : `bud_${parseBudgetId(id, "spl_")}`;
    const rows = await rowsOf(
      store.db,
      sql<AuditRow>`
        SELECT id, at, actor, action, subject, detail FROM audit_log
        WHERE action IN ('budget.set', 'budget.remove') AND (${subject}::text IS NULL OR subject = ${subject}) ORDER BY id DESC`,
    );
    return c.json(withCursor(pageOf(rows.map(auditJson), page), page));
  });
  app.get("/v1/organizations/spend_limits/:id", async (c) =>
    c.json(spendLimitJson(await findBudget(store.db, parseBudgetId(c.req.param("id"), "spl_"), c.req.param("id")))),
  );
  app.delete("/v1/organizations/spend_limits/:id", async (c) => {
    const id = parseBudgetId(c.req.param("id"), "spl_");
    await moneyChange(options, (trx) => dropBudget(trx, adminOf(c).id, id));
    return c.json({ id: `spl_${id}`, type: "spend_limit_deleted" });
  });
}

/** Lists of spend limits go on with `page`, all others with `after_id`; here both do. Who asks for what comes before goes on with `before_id`. */
function withCursor<T extends { has_more: boolean; last_id: string | null }>(
  page: T,
  { before_id: before }: { before_id?: string | undefined },
): T & { next_page: string | null } {
  return { ...page, next_page: page.has_more && before === undefined ? page.last_id : null };
}

const NANO_A_CENT = 7;

function scopeJson(scope: BudgetScope) {
  return scope.type === "tenant"
    ? { type: "workspace" as const, workspace_id: scope.tenantId }
    : { type: "api_key" as const, api_key_id: scope.keyId };
}

function spendLimitJson(budget: Budget) {
  return {
    id: `spl_${budget.id}`,
    type: "spend_limit",
    scope: scopeJson(budget.scope),
    amount: formatScaled(budget.amount, NANO_A_CENT),
    currency: "USD",
    period: PERIOD_NAMES[budget.period],
    is_enabled: true,
    created_at: budget.createdAt.toISOString(),
    updated_at: budget.updatedAt.toISOString(),
  };
}

/** For each period the limit that leaves the key least. */
function effectiveOf(key: { id: string; name: string; tenantId: string }, budgets: readonly Budget[]) {
  const mine = budgets.filter(({ scope }) =>
    scope.type === "key" ? scope.keyId === key.id : scope.tenantId === key.tenantId,
  );
  return (["day", "week", "month"] as const).flatMap((period) => {
    const [tightest] = mine
      .filter((budget) => budget.period === period)
      .sort((a, b) => Number(a.amount - a.spent - (b.amount - b.spent)));
    if (tightest === undefined) return [];
    return {
      type: "spend_summary",
      actor: { type: "scoped_api_key_actor", scoped_api_key_id: key.id, name: key.name },
      scope: { type: "api_key", api_key_id: key.id },
      source: scopeJson(tightest.scope),
      spend_limit_id: `spl_${tightest.id}`,
      amount: formatScaled(tightest.amount, NANO_A_CENT),
      // Anthropic's clients read a whole number here.
      period_to_date_spend: String(wholeCents(tightest.spent)),
      currency: "USD",
      period: PERIOD_NAMES[period],
      resets_at: tightest.resetsAt.toISOString(),
    };
  });
}

type AuditRow = {
  id: bigint;
  at: Date;
  actor: string;
  action: "budget.set" | "budget.remove";
  subject: string;
  detail: {
    tenant: string;
    key: string | null;
    period: Budget["period"];
    amount_usd: string | null;
    before_usd: string | null;
  };
};

function auditJson({ id, at, actor, action, subject, detail }: AuditRow) {
  const cents = (usd: string | null): string | null => (usd === null ? null : formatScaled(parseUsd(usd), NANO_A_CENT));
  return {
    id: `aud_${id}`,
    type: "spend_limit_audit_entry",
    created_at: at.toISOString(),
    actor: actor.startsWith("adm_") ? { type: "admin_key", admin_key_id: actor } : { type: "gateway" },
    action: action === "budget.remove" ? "deleted" : detail.before_usd === null ? "created" : "updated",
    spend_limit_id: subject.replace(/^bud_/, "spl_"),
    scope:
      detail.key === null
        ? { type: "workspace", workspace_id: detail.tenant }
        : { type: "api_key", api_key_id: detail.key },
    period: PERIOD_NAMES[detail.period],
    amount: cents(detail.amount_usd),
    previous_amount: cents(detail.before_usd),
    currency: "USD",
  };
}
