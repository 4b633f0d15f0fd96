/**
 * `GET /api/oauth/usage` with a tenant's key: dollars for Claude Code's `/usage` and status line, as its gateway protocol has them. The cap
 * that `extra_usage` is about is the one that the usage-limit headers are about.
 */
import type { Hono } from "hono";
import { sql } from "kysely";
import { GatewayError } from "../conversation/errors.ts";
import { type SpendCap, isFurther, percentSpent, surpassedThreshold } from "../conversation/spend-cap.ts";
import { type Budget, budgetsOfKey } from "../ledger/admin/budgets.ts";
import { wholeCents } from "../ledger/money.ts";
import { type Db, rowOf } from "../ledger/admin/read-rows.ts";
import type { AdminOptions } from "./admin.ts";
import { PERIOD_NAMES } from "./organization-spend-limits.ts";
import type { OrganizationEnv } from "./organization-caller.ts";

export function ownUsageRoute(app: Hono<OrganizationEnv>, { store }: AdminOptions): void {
  app.get("/api/oauth/usage", async (c) => {
    const caller = c.get("caller");
    if (caller.kind !== "key")
      throw new GatewayError("forbidden", "this shows a tenant's key its own usage; use that key");
    const { principal } = caller;
    const budgets = await budgetsOfKey(store.db, principal);
    return c.json(budgets.length === 0 ? uncapped(await spentByKey(store.db, principal.keyId)) : capped(budgets));
  });
}

/** Cents as numbers and whole percents: what clients read is for the eye. The exact sums are in the usage report. */
function capped(budgets: readonly Budget[]) {
  const caps = budgets.map((budget) => ({ budget, cap: capOf(budget) }));
  const binding = caps.reduce((a, b) => (isFurther(b.cap, a.cap) ? b : a));
  return {
    extra_usage: {
      is_enabled: true,
      monthly_limit: cents(binding.budget.amount),
      used_credits: cents(binding.budget.spent),
      utilization: percent(binding.cap),
      currency: "USD",
    },
    limits: caps.map(({ budget, cap }) => ({
      kind: "spend",
      group: PERIOD_NAMES[budget.period],
      percent: percent(cap),
      resets_at: budget.resetsAt.toISOString(),
      severity: severity(cap),
      is_active: budget === binding.budget,
    })),
  };
}

function capOf({ scope, period, amount, spent, resetsAt }: Budget): SpendCap {
  return { scope: scope.type, period, limit: amount, spent, resetsAt };
}

function severity(cap: SpendCap): "normal" | "warning" | "critical" {
  const threshold = surpassedThreshold(cap);
  if (threshold === null) return "normal";
  return threshold === 0.75 ? "warning" : "critical";
}

/** 100 only when nothing is left. */
function percent(cap: SpendCap): number {
  return Math.min(100, percentSpent(cap));
}

function cents(nano: bigint): number {
  return Number(wholeCents(nano));
}

type Spent = { day: bigint; week: bigint; month: bigint };

function uncapped({ day, week, month }: Spent) {
  const spent = (nano: bigint) => ({ limit: null, used_credits: cents(nano), utilization: null });
  return {
    extra_usage: {
      is_enabled: true,
      monthly_limit: null,
      used_credits: cents(month),
      utilization: null,
      currency: "USD",
      daily: spent(day),
      weekly: spent(week),
    },
    limits: [],
  };
}

async function spentByKey(db: Db, keyId: string): Promise<Spent> {
  const since = (period: string) =>
    sql`coalesce(sum(cost) FILTER (WHERE hour >= date_trunc(${period}, now(), 'UTC')), 0)::bigint`;
  const row = await rowOf(
    db,
    sql<Spent>`
      SELECT ${since("day")} AS day, ${since("week")} AS week, ${since("month")} AS month FROM usage_hour
      WHERE key_id = ${keyId} AND hour >= least(date_trunc('month', now(), 'UTC'), date_trunc('week', now(), 'UTC'))`,
  );
  return row ?? { day: 0n, week: 0n, month: 0n };
}
