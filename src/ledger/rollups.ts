/** Rebuilds the roll-ups by hour from the usage rows, which are the truth, a day at a time. Settling goes on meanwhile. */
import { sql } from "kysely";
import type { Store } from "../db/open-store.ts";
import { retried } from "./statements.ts";

export type Rebuilt = {
  days: number;
  /** Roll-up rows that were wrong, missing or too many. */
  corrected: number;
};

/** Rebuilds the days from `since` on (all unless given), in UTC. */
export async function rebuildRollups(store: Store, since?: Date): Promise<Rebuilt> {
  const from = since?.toISOString() ?? "-infinity";
  const { rows } = await sql<{ day: string }>`
    SELECT DISTINCT utc_day(reserved_at)::text AS day FROM usage_event WHERE reserved_at >= ${from}::timestamptz
    UNION SELECT DISTINCT utc_day(hour)::text FROM usage_hour WHERE hour >= ${from}::timestamptz ORDER BY day`.execute(
    store.patient,
  );
  let corrected = 0;
  for (const { day } of rows) corrected += await rebuildDay(store, day);
  return { days: rows.length, corrected };
}

/** Another rebuild would correct the same once more; whoever settles does not wait for this lock. */
const ONE_AT_A_TIME = sql`LOCK TABLE usage_hour IN SHARE UPDATE EXCLUSIVE MODE`;

/** Adjustments leave a roll-up that is missing as it is: one that came while it was being corrected is found by looking again. */
async function rebuildDay(store: Store, day: string): Promise<number> {
  let corrected = 0;
  for (;;) {
    const more = await retried(() => correctDay(store, day));
    if (more === 0) return corrected;
    corrected += more;
  }
}

/**
 * Adds to each roll-up what it lacks. That is the same at every moment, since whoever writes a usage row adds as much to its roll-up in the same
 * transaction: what comes while this computes is in neither of the two, or in both. Only the roll-ups that are wrong are locked, for as long as it takes to write them.
 */
async function correctDay(store: Store, day: string): Promise<number> {
  return store.patient
    .transaction()
    .setIsolationLevel("read committed")
    .execute(async (trx) => {
      await ONE_AT_A_TIME.execute(trx);
      const { rows } = await sql<{ corrected: bigint }>`
        WITH span AS (SELECT ${day}::timestamp AT TIME ZONE 'UTC' AS start, (${day}::timestamp + interval '1 day') AT TIME ZONE 'UTC' AS stop),
        right_sums AS (
          SELECT date_trunc('hour', reserved_at, 'UTC') AS hour, tenant_id, key_id, model, count(*) AS requests,
            count(*) FILTER (WHERE outcome <> 'ok') AS not_ok, sum(input_uncached) AS input_uncached, sum(cache_read) AS cache_read,
            sum(cache_write) AS cache_write, sum(output) AS output, sum(reasoning) AS reasoning, sum(cost)::bigint AS cost
          FROM usage_event, span WHERE reserved_at >= span.start AND reserved_at < span.stop GROUP BY 1, 2, 3, 4),
        kept AS (SELECT h.* FROM usage_hour h, span WHERE h.hour >= span.start AND h.hour < span.stop),
        lacking AS MATERIALIZED (
          SELECT coalesce(k.hour, r.hour) AS hour, coalesce(k.tenant_id, r.tenant_id) AS tenant_id, coalesce(k.key_id, r.key_id) AS key_id,
            coalesce(k.model, r.model) AS model, coalesce(r.requests, 0) - coalesce(k.requests, 0) AS requests,
            coalesce(r.not_ok, 0) - coalesce(k.not_ok, 0) AS not_ok,
            coalesce(r.input_uncached, 0) - coalesce(k.input_uncached, 0) AS input_uncached,
            coalesce(r.cache_read, 0) - coalesce(k.cache_read, 0) AS cache_read,
            coalesce(r.cache_write, 0) - coalesce(k.cache_write, 0) AS cache_write,
            coalesce(r.output, 0) - coalesce(k.output, 0) AS output, coalesce(r.reasoning, 0) - coalesce(k.reasoning, 0) AS reasoning,
            coalesce(r.cost, 0) - coalesce(k.cost, 0) AS cost
          FROM kept k FULL JOIN right_sums r ON (r.hour, r.tenant_id, r.key_id, r.model) = (k.hour, k.tenant_id, k.key_id, k.model)
          WHERE (k.requests, k.not_ok, k.input_uncached, k.cache_read, k.cache_write, k.output, k.reasoning, k.cost)
            IS DISTINCT FROM (r.requests, r.not_ok, r.input_uncached, r.cache_read, r.cache_write, r.output, r.reasoning, r.cost)),
        written AS (
          -- In the order in which settling locks them.
          INSERT INTO usage_hour AS h SELECT * FROM lacking ORDER BY hour, tenant_id, key_id, model
          ON CONFLICT (hour, tenant_id, key_id, model) DO UPDATE SET requests = h.requests + excluded.requests,
            not_ok = h.not_ok + excluded.not_ok, input_uncached = h.input_uncached + excluded.input_uncached,
            cache_read = h.cache_read + excluded.cache_read, cache_write = h.cache_write + excluded.cache_write,
            output = h.output + excluded.output, reasoning = h.reasoning + excluded.reasoning, cost = h.cost + excluded.cost
          RETURNING 1)
        SELECT count(*) AS corrected FROM written`.execute(trx);
      const corrected = Number(rows[0]?.corrected ?? 0);
      // Of no requests there is no roll-up. Those here are locked by the correction already.
      if (corrected > 0)
        await sql`
          DELETE FROM usage_hour WHERE requests = 0
            AND hour >= ${day}::timestamp AT TIME ZONE 'UTC' AND hour < (${day}::timestamp + interval '1 day') AT TIME ZONE 'UTC'`.execute(
          trx,
        );
      return corrected;
    });
}
