/**
 * Says what usage cost to make: an engine costs its price an hour whether it works or not, and those who used it share that by the
 * time that their requests took (decisions/0091).
 */
import { sql } from "kysely";
import type { Store } from "../../db/open-store.ts";
import { formatUsd, parseUsd } from "../money.ts";
import { type UsageFilter, type UsageGroup, type UsageGrouping, engineTimeByGroup, groupOf } from "../usage-report.ts";
import { rowsOf } from "./read-rows.ts";

/** nano-USD an hour, by the engine's name. */
export type EngineCosts = ReadonlyMap<string, bigint>;

export type MadeCost = {
  /** USD: the share of the engines' cost; null where no engine has a cost. */
  made_usd: string | null;
  /** USD a million tokens, prompt and output: what they were sold for, and what they cost to make. */
  sold_per_million_usd: string | null;
  made_per_million_usd: string | null;
};

const HOUR_MS = 3_600_000n;
const MILLION = 1_000_000n;

/**
 * Adds to each group what it cost to make. An engine is counted from `since` (without it, from its first request) until `until` or
 * now. With a tenant as filter the tenant's share of the engine is shown, not the whole.
 */
export async function withMadeCost(
  store: Store,
  by: UsageGrouping,
  filter: UsageFilter,
  groups: readonly UsageGroup[],
  costs: EngineCosts,
): Promise<(UsageGroup & MadeCost)[]> {
  const made = costs.size === 0 ? new Map<string, bigint>() : await madeByGroup(store, by, filter, costs);
  return groups.map((group) => {
    const cost = made.get(JSON.stringify(groupOf(by, group)));
    const tokens = BigInt(group.input_uncached + group.cache_read + group.cache_write + group.output);
    const sold = parseUsd(group.cost_usd);
    return {
      ...group,
      made_usd: cost === undefined ? null : formatUsd(cost),
      sold_per_million_usd: perMillion(sold, tokens),
      made_per_million_usd: cost === undefined ? null : perMillion(cost, tokens),
    } as UsageGroup & MadeCost;
  });
}

/** To a millionth of a USD: a rate, not an amount that is charged. */
function perMillion(nano: bigint, tokens: bigint): string | null {
  if (tokens === 0n) return null;
  const rate = (nano * MILLION) / tokens;
  return formatUsd(((rate + 500n) / 1000n) * 1000n);
}

async function madeByGroup(
  store: Store,
  by: UsageGrouping,
  filter: UsageFilter,
  costs: EngineCosts,
): Promise<Map<string, bigint>> {
  const [shares, engines] = await Promise.all([engineTimeByGroup(store, by, filter), engineSpans(store, filter)]);
  const made = new Map<string, bigint>();
  for (const { group, engine, ms } of shares) {
    const rate = costs.get(engine);
    const span = engines.get(engine);
    if (rate === undefined || span === undefined) continue;
    const busy = span.busyMs === 0n ? 1n : span.busyMs;
    const cost = (rate * span.ms * ms) / (HOUR_MS * busy);
    const key = JSON.stringify(group);
    made.set(key, (made.get(key) ?? 0n) + cost);
  }
  return made;
}

/** For each engine the time that is paid for, and that of all its requests, whoever's they were. */
async function engineSpans(
  store: Store,
  { since, until }: UsageFilter,
): Promise<Map<string, { ms: bigint; busyMs: bigint }>> {
  const from = since?.toISOString() ?? null;
  const to = until?.toISOString() ?? null;
  const rows = await rowsOf(
    store.patient,
    sql<{ engine: string; ms: bigint; busy_ms: bigint }>`
      SELECT engine, sum(duration_ms)::bigint AS busy_ms,
        greatest(0, extract(epoch FROM least(coalesce(${to}::timestamptz, now()), now())
          - coalesce(${from}::timestamptz, min(reserved_at))) * 1000)::bigint AS ms
      FROM usage_event
      WHERE engine IS NOT NULL AND (${from}::timestamptz IS NULL OR reserved_at >= ${from}::timestamptz)
        AND (${to}::timestamptz IS NULL OR reserved_at < ${to}::timestamptz)
      GROUP BY engine`,
  );
  return new Map(rows.map((row) => [row.engine, { ms: row.ms, busyMs: row.busy_ms }]));
}
