/** Rebuilds the roll-ups by hour from the usage rows, which are the truth. Settling waits for a day's worth at a time. */
import { sql } from "kysely";
import type { Store } from "../db/open-store.ts";

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

async function rebuildDay(store: Store, day: string): Promise<number> {
  return store.patient.transaction().execute(async (trx) => {
    await sql`LOCK TABLE usage_hour IN EXCLUSIVE MODE`.execute(trx);
    const { rows } = await sql<{ corrected: bigint }>`
      WITH span AS (SELECT ${day}::timestamp AT TIME ZONE 'UTC' AS start, (${day}::timestamp + interval '1 day') AT TIME ZONE 'UTC' AS stop),
      right_sums AS (
        SELECT date_trunc('hour', reserved_at, 'UTC') AS hour, tenant_id, key_id, model, count(*) AS requests,
          count(*) FILTER (WHERE outcome <> 'ok') AS not_ok, sum(input_uncached) AS input_uncached, sum(cache_read) AS cache_read,
          sum(cache_write) AS cache_write, sum(output) AS output, sum(reasoning) AS reasoning, sum(cost)::bigint AS cost
        FROM usage_event, span WHERE reserved_at >= span.start AND reserved_at < span.stop GROUP BY 1, 2, 3, 4),
      gone AS (
        DELETE FROM usage_hour h USING span WHERE h.hour >= span.start AND h.hour < span.stop
          AND NOT EXISTS (SELECT FROM right_sums r WHERE (r.hour, r.tenant_id, r.key_id, r.model) = (h.hour, h.tenant_id, h.key_id, h.model))
        RETURNING 1),
      written AS (
        INSERT INTO usage_hour AS h SELECT * FROM right_sums
        ON CONFLICT (hour, tenant_id, key_id, model) DO UPDATE SET requests = excluded.requests, not_ok = excluded.not_ok,
          input_uncached = excluded.input_uncached, cache_read = excluded.cache_read, cache_write = excluded.cache_write,
          output = excluded.output, reasoning = excluded.reasoning, cost = excluded.cost
        WHERE (h.requests, h.not_ok, h.input_uncached, h.cache_read, h.cache_write, h.output, h.reasoning, h.cost)
          <> (excluded.requests, excluded.not_ok, excluded.input_uncached, excluded.cache_read, excluded.cache_write, excluded.output,
            excluded.reasoning, excluded.cost)
        RETURNING 1)
      SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM written) AS corrected`.execute(trx);
    return Number(rows[0]?.corrected ?? 0);
  });
}
