/**
 * The queries behind `evener usage`: what was used, by whom, in a span of time. A request belongs to the time at which it was reserved, by
 * the database's clock, as on invoices and in budgets: sums of the same span are the same everywhere.
 */
import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from "kysely";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { isReadableTime } from "../db/readable-time.ts";
import type { Schema, UsageEventTable } from "../db/schema.ts";
import { findTenant } from "./admin/find-tenant.ts";
import { formatUsd } from "./money.ts";

export type UsageFilter = {
  /** A tenant's name or id. An unknown one is GatewayError `not_found`. */
  tenant?: string | undefined;
  /** From this time on. */
  since?: Date | undefined;
  /** Up to, not including, this time. */
  until?: Date | undefined;
};

/** Token classes as in `Usage`, summed, with the number of requests and of those whose outcome was not `ok`. */
export type UsageSums = {
  requests: number;
  not_ok: number;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  /** USD, exact: what was charged. */
  cost_usd: string;
  /** USD: how much more the tokens read from the prefix cache would have cost as uncached ones. */
  cache_saved_usd: string;
};

/** What each grouping's rows are told apart by; days are UTC, as `2026-11-22`. */
const GROUPS = {
  tenant: { tenant: tenantName() },
  key: { tenant: tenantName(), key: keyName(), key_id: sql<string>`u.key_id` },
  model: { model: sql<string>`u.model` },
  session: { tenant: tenantName(), session: sql<string | null>`u.session` },
  agent: {
    tenant: tenantName(),
    session: sql<string | null>`u.session`,
    agent: sql<string | null>`u.agent`,
  },
  day: { day: sql<string>`to_char(u.reserved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')` },
  engine: { engine: sql<string | null>`u.engine` },
} satisfies Record<string, Record<string, RawBuilder<string | null>>>;

export type UsageGrouping = keyof typeof GROUPS;
export const USAGE_GROUPINGS = Object.keys(GROUPS) as UsageGrouping[];

/** One group: its names (see GROUPS) beside the sums. */
export type UsageGroup = UsageSums & Record<string, string | number | null>;

/** A name outlives nothing here, but a row must be shown even if its tenant or key is gone. */
function tenantName(): RawBuilder<string> {
  return sql<string>`coalesce(t.name, u.tenant_id)`;
}

function keyName(): RawBuilder<string> {
  return sql<string>`coalesce(k.name, u.key_id)`;
}

/** Sums by group, in the order of the groups' names. */
export async function usageByGroup(store: Store, by: UsageGrouping, filter: UsageFilter): Promise<UsageGroup[]> {
  const tenantId = await tenantIdOf(store, filter.tenant);
  const names = Object.entries<RawBuilder<string | null>>(GROUPS[by]);
  const rows = await usageRows(store)
    .where((where) => where.and(conditions(where, filter, tenantId)))
    .select(names.map(([name, expression]) => expression.as(name)))
    .select(({ fn }) => [
      fn.countAll<bigint>().as("requests"),
      sql<bigint>`count(*) FILTER (WHERE u.outcome <> 'ok')`.as("not_ok"),
      fn.sum<bigint>("u.input_uncached").as("input_uncached"),
      fn.sum<bigint>("u.cache_read").as("cache_read"),
      fn.sum<bigint>("u.cache_write").as("cache_write"),
      fn.sum<bigint>("u.output").as("output"),
      fn.sum<bigint>("u.reasoning").as("reasoning"),
      sql<bigint>`sum(u.cost)::bigint`.as("cost"),
      // Only what was charged was saved on; nano-USD, as all sums of money.
      sql<bigint>`coalesce(sum(CASE WHEN u.cost > 0 THEN u.cache_read::numeric * (v.input_uncached - v.cache_read) END) / 1000, 0)::bigint`.as(
        "cache_saved",
      ),
    ])
    .groupBy(names.map(([, expression]) => expression))
    .orderBy(sql.join(names.map(([, expression]) => expression)))
    .execute();
  return rows.map(({ cost, cache_saved, ...row }) => {
    // Token sums stay far below 2^53; only money needs bigints.
    const entries = Object.entries(row as Record<string, unknown>);
    return {
      ...Object.fromEntries(entries.map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value])),
      cost_usd: formatUsd(cost),
      cache_saved_usd: formatUsd(cache_saved),
    };
  }) as UsageGroup[];
}

/** Requests' time by group and engine, in milliseconds: what an engine's cost is shared out by. `tokens`: of all classes. */
export async function engineTimeByGroup(
  store: Store,
  by: UsageGrouping,
  filter: UsageFilter,
): Promise<{ group: (string | null)[]; engine: string; ms: bigint; tokens: bigint }[]> {
  const tenantId = await tenantIdOf(store, filter.tenant);
  const expressions = Object.values<RawBuilder<string | null>>(GROUPS[by]);
  const rows = await usageRows(store)
    .where((where) => where.and([...conditions(where, filter, tenantId), where("u.engine", "is not", null)]))
    .select([
      sql<(string | null)[]>`ARRAY[${sql.join(expressions.map((expression) => sql`${expression}::text`))}]`.as("group"),
      "u.engine",
      sql<bigint>`sum(u.duration_ms)::bigint`.as("ms"),
      sql<bigint>`sum(u.input_uncached::bigint + u.cache_read + u.cache_write + u.output)::bigint`.as("tokens"),
    ])
    .groupBy([...expressions, "u.engine"] as RawBuilder<string | null>[])
    .execute();
  return rows.map(({ engine, ...row }) => ({ ...row, engine: engine ?? "" }));
}

/** The values that a group's row is told apart by, in the order in which `engineTimeByGroup` gives them. */
export function groupOf(by: UsageGrouping, row: UsageGroup): (string | null)[] {
  return Object.keys(GROUPS[by]).map((name) => row[name] as string | null);
}

/** One request as scripts see it: the names and their order are promised (docs/tenants-and-keys.md). */
export type UsageRequest = {
  request_id: string;
  tenant: string;
  key: string;
  model: string;
  session: string | null;
  agent: string | null;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  counted_by: UsageEventTable["counted_by"];
  outcome: UsageEventTable["outcome"];
  /** ISO 8601, UTC, milliseconds; by the gateway's clock, and not what a span is about. */
  started_at: string;
  first_token_ms: number | null;
  duration_ms: number;
  /** USD, exact. */
  cost_usd: string;
  /** Request id of the earlier one that this one repeats: clients send it all again when a stream breaks. */
  repeat_of: string | null;
  /** What failed, where something did. */
  error_code: string | null;
  /** Which limit ended the answer before its end, e.g. `tenant month budget`. */
  cut_by: string | null;
  /** Tokens that the engine computed beyond that limit, and that nobody is charged for (decisions/0071-no-overrun.md); not in the counts. */
  unbilled_prompt: number;
  unbilled_output: number;
};

export type UsagePage = {
  rows: UsageRequest[];
  /** Give it as `after` to get the rows that follow; null at the end. */
  next: string | null;
};

/** Single requests, oldest first, a page at a time. A bad `after` is GatewayError `invalid_request`. */
export async function usageByRequest(
  store: Store,
  filter: UsageFilter,
  page: { limit: number; after?: string | undefined },
): Promise<UsagePage> {
  const tenantId = await tenantIdOf(store, filter.tenant);
  const after = page.after === undefined ? undefined : readCursor(page.after);
  let query = usageRows(store)
    .where((where) => where.and(conditions(where, filter, tenantId)))
    .select([
      "u.request_id",
      tenantName().as("tenant"),
      keyName().as("key"),
      "u.model",
      "u.session",
      "u.agent",
      "u.input_uncached",
      "u.cache_read",
      "u.cache_write",
      "u.output",
      "u.reasoning",
      "u.counted_by",
      "u.outcome",
      "u.started_at",
      "u.first_token_ms",
      "u.duration_ms",
      sql<bigint>`u.cost`.as("cost"),
      "u.repeat_of",
      "u.error_code",
      "u.cut_by",
      "u.unbilled_prompt",
      "u.unbilled_output",
      sql<string>`to_char(u.reserved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as("reserved_at"),
    ])
    .orderBy("u.reserved_at")
    .orderBy("u.request_id")
    .limit(page.limit + 1);
  if (after !== undefined)
    query = query.where(
      sql<SqlBool>`(u.reserved_at, u.request_id) > (${after.reservedAt}::timestamptz, ${after.requestId})`,
    );
  const found = await query.execute();
  const shown = found.slice(0, page.limit);
  const rows = shown.map(
    ({ cost, reserved_at: _at, repeat_of, error_code, cut_by, unbilled_prompt, unbilled_output, ...row }) =>
      Object.assign(row, {
        started_at: row.started_at.toISOString(),
        cost_usd: formatUsd(cost),
        repeat_of,
        error_code,
        cut_by,
        unbilled_prompt,
        unbilled_output,
      }) satisfies UsageRequest,
  );
  const last = shown.at(-1);
  return { rows, next: found.length > page.limit && last !== undefined ? writeCursor(last) : null };
}

function usageRows(store: Store) {
  return store.patient
    .selectFrom("usage_event as u")
    .leftJoin("tenant as t", "t.id", "u.tenant_id")
    .leftJoin("virtual_key as k", "k.id", "u.key_id")
    .leftJoin(sql<{ id: bigint; input_uncached: bigint; cache_read: bigint }>`price_version`.as("v"), (join) =>
      join.on(sql<SqlBool>`v.id = u.price_id`),
    );
}

type Tables = Schema & { u: UsageEventTable };

function conditions(
  where: ExpressionBuilder<Tables, "u">,
  { since, until }: UsageFilter,
  tenantId: string | undefined,
): Expression<SqlBool>[] {
  const all: Expression<SqlBool>[] = [];
  if (tenantId !== undefined) all.push(where("u.tenant_id", "=", tenantId));
  if (since !== undefined) all.push(where("u.reserved_at", ">=", since));
  if (until !== undefined) all.push(where("u.reserved_at", "<", until));
  return all;
}

async function tenantIdOf(store: Store, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return undefined;
  return (await findTenant(store.db, name)).id;
}

/** To the database's microsecond, which what it settled for a dead gateway has: the time names the place exactly. */
function writeCursor(row: { reserved_at: string; request_id: string }): string {
  return Buffer.from(`${row.reserved_at} ${row.request_id}`).toString("base64url");
}

function readCursor(cursor: string): { reservedAt: string; requestId: string } {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]+)$/.exec(Buffer.from(cursor, "base64url").toString());
  const [, reservedAt, requestId] = match ?? [];
  if (reservedAt === undefined || requestId === undefined || !isReadableTime(new Date(reservedAt)))
    throw new GatewayError("invalid_request", "`after` is not a cursor that this gateway gave", { param: "after" });
  return { reservedAt, requestId };
}
