/** Usage and cost by buckets of time, as reports of the Admin API have them; a request counts when it was reserved. */
import { sql } from "kysely";
import { CHARGED } from "../invoice/charged.ts";
import { type Db, rowsOf } from "./read-rows.ts";

export const BUCKETS = {
  "1m": { unit: "minute", ms: 60_000 },
  "1h": { unit: "hour", ms: 3_600_000 },
  "1d": { unit: "day", ms: 86_400_000 },
} as const;
export type BucketWidth = keyof typeof BUCKETS;

export type Span = { from: Date; until: Date };

export type UsageFilter = {
  tenantIds?: string[] | undefined;
  keyIds?: string[] | undefined;
  models?: string[] | undefined;
};

export const USAGE_GROUPS = ["tenant", "key", "model"] as const;
export type UsageGroup = (typeof USAGE_GROUPS)[number];

/** One group in one bucket; what is not grouped by is null. */
export type UsageBucketRow = {
  start: Date;
  tenant_id: string | null;
  key_id: string | null;
  model: string | null;
  input_uncached: bigint;
  cache_read: bigint;
  cache_write: bigint;
  output: bigint;
};

/** Buckets of an hour and more come from the roll-ups, shorter ones from the rows. */
export async function usageBuckets(
  db: Db,
  width: BucketWidth,
  { from, until }: Span,
  groups: ReadonlySet<UsageGroup>,
  filter: UsageFilter,
): Promise<UsageBucketRow[]> {
  const { unit } = BUCKETS[width];
  const source =
    width === "1m"
      ? sql`(SELECT reserved_at AS at, tenant_id, key_id, model, input_uncached, cache_read, cache_write, output FROM usage_event)`
      : sql`(SELECT hour AS at, tenant_id, key_id, model, input_uncached, cache_read, cache_write, output FROM usage_hour)`;
  const column = (group: UsageGroup, name: string) => (groups.has(group) ? sql.ref(`s.${name}`) : sql`NULL::text`);
  const within = (name: string, values: string[] | undefined) =>
    values === undefined ? sql`true` : sql`${sql.ref(`s.${name}`)} = ANY (${values}::text[])`;
  return rowsOf(
    db,
    sql<UsageBucketRow>`
      SELECT date_trunc(${unit}, s.at, 'UTC') AS start, ${column("tenant", "tenant_id")} AS tenant_id,
        ${column("key", "key_id")} AS key_id, ${column("model", "model")} AS model, sum(s.input_uncached)::bigint AS input_uncached,
        sum(s.cache_read)::bigint AS cache_read, sum(s.cache_write)::bigint AS cache_write, sum(s.output)::bigint AS output
      FROM ${source} s
      WHERE s.at >= ${from.toISOString()}::timestamptz AND s.at < ${until.toISOString()}::timestamptz
        AND ${within("tenant_id", filter.tenantIds)} AND ${within("key_id", filter.keyIds)} AND ${within("model", filter.models)}
      GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`,
  );
}

export type CostBucketRow = { start: Date; tenant_id: string | null; cost: bigint };

/** By day, in nano-USD: what was charged. */
export async function costBuckets(db: Db, { from, until }: Span, byTenant: boolean): Promise<CostBucketRow[]> {
  return rowsOf(
    db,
    sql<CostBucketRow>`
      SELECT date_trunc('day', hour, 'UTC') AS start, ${byTenant ? sql`tenant_id` : sql`NULL::text`} AS tenant_id,
        sum(cost)::bigint AS cost
      FROM usage_hour WHERE hour >= ${from.toISOString()}::timestamptz AND hour < ${until.toISOString()}::timestamptz
      GROUP BY 1, 2 HAVING sum(cost) > 0 ORDER BY 1, 2`,
  );
}

export type CostLineRow = {
  start: Date;
  tenant_id: string | null;
  model: string;
  /** pico-USD, exact: before a request's sum was rounded to a nano-USD. */
  input_uncached: bigint;
  cache_read: bigint;
  cache_write: bigint;
  output: bigint;
};

/** By day and model, each class of tokens apart. */
export async function costLines(db: Db, { from, until }: Span, byTenant: boolean): Promise<CostLineRow[]> {
  const exact = (name: string) =>
    sql`sum(${sql.ref(`u.${name}`)}::bigint * ${sql.ref(`v.${name}`)})::bigint AS ${sql.ref(name)}`;
  return rowsOf(
    db,
    sql<CostLineRow>`
      SELECT date_trunc('day', u.reserved_at, 'UTC') AS start, ${byTenant ? sql`u.tenant_id` : sql`NULL::text`} AS tenant_id, u.model,
        ${sql.join(["input_uncached", "cache_read", "cache_write", "output"].map(exact))}
      FROM usage_event u JOIN price_version v ON v.id = u.price_id
      WHERE u.reserved_at >= ${from.toISOString()}::timestamptz AND u.reserved_at < ${until.toISOString()}::timestamptz AND ${CHARGED}
      GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
  );
}
