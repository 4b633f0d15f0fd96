/**
 * Says what usage cost to make: an engine costs its price an hour whether it works or not, and those who used it share that by the
 * time that their requests took (decisions/0091).
 */
import { sql } from "kysely";
import type { Store } from "../../db/open-store.ts";
import { formatUsd, parseUsd, perMillion } from "../money.ts";
import {
  type UsageFilter,
  type UsageGroup,
  type UsageGrouping,
  type UsageSums,
  engineTimeByGroup,
  groupOf,
} from "../usage-report.ts";
import { rowsOf } from "./read-rows.ts";

/** nano-USD an hour, by the engine's name. */
export type EngineCosts = ReadonlyMap<string, bigint>;

export type MadeCost = {
  /** USD: the share of the engines' cost; null where no engine has a cost. */
  made_usd: string | null;
  /** Prompt and output together, of the engines that have a cost: what `made_usd` was for. */
  made_tokens: number;
  /** USD a million tokens, prompt and output: what they were sold for, and what they cost to make. */
  sold_per_million_usd: string | null;
  made_per_million_usd: string | null;
};

const HOUR_MS = 3_600_000n;

/**
 * Adds to each group what it cost to make. An engine is counted from `since` (without it, from its first request) until `until` or
 * now. With a tenant as filter the tenant's share of the engine is shown, not the whole. By engine, those that had no request are added: they
 * cost as much.
 */
export async function withMadeCost(
  store: Store,
  by: UsageGrouping,
  filter: UsageFilter,
  groups: readonly UsageGroup[],
  costs: EngineCosts,
): Promise<(UsageGroup & MadeCost)[]> {
  const spans = costs.size === 0 ? new Map<string, EngineSpan>() : await engineSpans(store, filter, costs);
  const made = costs.size === 0 ? new Map<string, Made>() : await madeByGroup(store, by, filter, costs, spans);
  const idle = by === "engine" && filter.tenant === undefined ? idleEngines(groups, costs, spans, made) : [];
  return [...groups, ...idle].map((group) => {
    const { cost, tokens: madeTokens = 0n } = made.get(JSON.stringify(groupOf(by, group))) ?? {};
    const tokens = BigInt(group.input_uncached + group.cache_read + group.cache_write + group.output);
    const sold = parseUsd(group.cost_usd);
    return {
      ...group,
      made_usd: cost === undefined ? null : formatUsd(cost),
      made_tokens: Number(madeTokens),
      sold_per_million_usd: rateText(sold, tokens),
      made_per_million_usd: cost === undefined ? null : rateText(cost, madeTokens),
    } as UsageGroup & MadeCost;
  });
}

function rateText(nano: bigint, tokens: bigint): string | null {
  const rate = perMillion(nano, tokens);
  return rate === undefined ? null : formatUsd(rate);
}

/** nano-USD, and the tokens of the engines that have a cost. */
type Made = { cost: bigint; tokens: bigint };
/** The time that is paid for, and that of all requests, whoever's they were. */
type EngineSpan = { ms: bigint; busyMs: bigint };

/** Groups for engines that cost and did nothing; what they cost is put into `made`. */
function idleEngines(
  groups: readonly UsageGroup[],
  costs: EngineCosts,
  spans: ReadonlyMap<string, EngineSpan>,
  made: Map<string, Made>,
): UsageGroup[] {
  const used = new Set(groups.map((group) => group["engine"]));
  return [...costs.keys()].sort().flatMap((engine) => {
    const rate = costs.get(engine) ?? 0n;
    const ms = spans.get(engine)?.ms ?? 0n;
    if (used.has(engine) || ms === 0n) return [];
    const group: UsageGroup = { engine, ...NO_USAGE };
    made.set(JSON.stringify(groupOf("engine", group)), { cost: (rate * ms) / HOUR_MS, tokens: 0n });
    return [group];
  });
}

const NO_USAGE: UsageSums = {
  requests: 0,
  not_ok: 0,
  input_uncached: 0,
  cache_read: 0,
  cache_write: 0,
  output: 0,
  reasoning: 0,
  cost_usd: "0.00",
  cache_saved_usd: "0.00",
};

async function madeByGroup(
  store: Store,
  by: UsageGrouping,
  filter: UsageFilter,
  costs: EngineCosts,
  spans: ReadonlyMap<string, EngineSpan>,
): Promise<Map<string, Made>> {
  const made = new Map<string, Made>();
  for (const { group, engine, ms, tokens } of await engineTimeByGroup(store, by, filter)) {
    const rate = costs.get(engine);
    const span = spans.get(engine);
    if (rate === undefined || span === undefined) continue;
    const busy = span.busyMs === 0n ? 1n : span.busyMs;
    const cost = (rate * span.ms * ms) / (HOUR_MS * busy);
    const key = JSON.stringify(group);
    const before = made.get(key) ?? { cost: 0n, tokens: 0n };
    made.set(key, { cost: before.cost + cost, tokens: before.tokens + tokens });
  }
  return made;
}

/** Of each engine that has a cost. */
async function engineSpans(
  store: Store,
  { since, until }: UsageFilter,
  costs: EngineCosts,
): Promise<Map<string, EngineSpan>> {
  const from = since?.toISOString() ?? null;
  const to = until?.toISOString() ?? null;
  const rows = await rowsOf(
    store.patient,
    sql<{ engine: string; ms: bigint; busy_ms: bigint }>`
      SELECT c.engine, coalesce(u.busy_ms, 0)::bigint AS busy_ms,
        greatest(0, extract(epoch FROM least(coalesce(${to}::timestamptz, now()), now())
          - coalesce(${from}::timestamptz, u.first)) * 1000)::bigint AS ms
      FROM unnest(${[...costs.keys()]}::text[]) c (engine) LEFT JOIN (
        SELECT engine, sum(duration_ms) AS busy_ms, min(reserved_at) AS first FROM usage_event
        WHERE engine IS NOT NULL AND (${from}::timestamptz IS NULL OR reserved_at >= ${from}::timestamptz)
          AND (${to}::timestamptz IS NULL OR reserved_at < ${to}::timestamptz)
        GROUP BY engine) u ON u.engine = c.engine`,
  );
  return new Map(rows.map((row) => [row.engine, { ms: row.ms, busyMs: row.busy_ms }]));
}
