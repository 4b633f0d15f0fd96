-- How far a gateway's live requests are, in one row a gateway. A hold is a wide row: writing each of a thousand anew four times a second took more of Postgres
-- than reserving and settling did.

CREATE TABLE running_count (
  -- The gateway process, as in `hold.owner`.
  owner  text PRIMARY KEY,
  at     timestamptz NOT NULL,
  -- Of each request that has counted something: [request_id, checkpoint, input_uncached, cache_read, cache_write, output, reasoning].
  counts json NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
-- Compressing what is overwritten in a quarter of a second is not worth its time.
ALTER TABLE running_count ALTER COLUMN counts SET STORAGE EXTERNAL;

-- Brings the running counts of dead gateways into their holds, where they are later than what the hold knows. A hold that is being settled is passed by.
CREATE FUNCTION ledger_recall(p_dead text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH gone AS (
    -- A moment before a lease ends: the sweep that follows looks at the clock again.
    SELECT DISTINCT owner FROM hold WHERE lease_until < clock_timestamp() + interval '1 second' OR owner = ANY (p_dead)),
  counted AS MATERIALIZED (
    SELECT r.owner, r.at, e ->> 0 AS request_id, (e ->> 1)::integer AS checkpoint, (e ->> 2)::tokens AS input_uncached,
      (e ->> 3)::tokens AS cache_read, (e ->> 4)::tokens AS cache_write, (e ->> 5)::tokens AS output, (e ->> 6)::tokens AS reasoning
    FROM gone JOIN running_count r USING (owner), json_array_elements(r.counts) e),
  behind AS MATERIALIZED (
    SELECT c.* FROM counted c JOIN hold h ON h.request_id = c.request_id AND h.owner = c.owner
    WHERE c.checkpoint > h.checkpoint ORDER BY c.request_id FOR NO KEY UPDATE OF h SKIP LOCKED)
  UPDATE hold h SET checkpoint = b.checkpoint, checkpoint_at = greatest(h.checkpoint_at, b.at), input_uncached = b.input_uncached,
    cache_read = b.cache_read, cache_write = b.cache_write, output = b.output, reasoning = b.reasoning
  FROM behind b WHERE h.request_id = b.request_id;
END $$;

-- Settles holds whose lease has run out, or whose owner is known to be dead, at the last count that is known of them; at most so many.
ALTER FUNCTION ledger_sweep(integer, text[]) RENAME TO ledger_sweep_holds;
CREATE FUNCTION ledger_sweep(p_most integer, p_dead text[]) RETURNS TABLE (swept text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ledger_recall(p_dead);
  RETURN QUERY SELECT s.swept FROM ledger_sweep_holds(p_most, p_dead) s;
END $$;
