-- Standing holds: a gateway holds money for a busy key, and lets its requests in on that without asking first. To the money they are holds like any other; only
-- nothing is ever charged for one, and none leaves a usage row. Their ids begin with `standing-`.

-- When the next price of the same model takes the place of this one; null: none is set.
CREATE FUNCTION price_until(p_price bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT min(n.valid_from) FROM price_version p JOIN price_version n ON n.model = p.model AND n.valid_from > p.valid_from WHERE p.id = p_price
$$;

-- Frees holds, and writes nothing. Locks as ledger_settle does: holds, then accounts.
CREATE FUNCTION ledger_release(p_requests text[]) RETURNS void LANGUAGE plpgsql
  SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_account bigint[];
  v_tenant  text[];
  v_key     text[];
  v_amount  bigint[];
  v_day     date[];
BEGIN
  WITH freed AS (
    DELETE FROM hold h WHERE h.request_id = ANY (p_requests) RETURNING h.account_id, h.tenant_id, h.key_id, h.amount, utc_day(h.reserved_at) AS day)
  SELECT array_agg(account_id), array_agg(tenant_id), array_agg(key_id), array_agg(-amount), array_agg(day)
  INTO v_account, v_tenant, v_key, v_amount, v_day
  FROM freed WHERE account_id IS NOT NULL AND amount > 0;
  IF v_account IS NOT NULL THEN
    PERFORM FROM account a WHERE a.id = ANY (v_account) ORDER BY a.id FOR NO KEY UPDATE;
    PERFORM ledger_take(v_account, v_tenant, v_key, v_amount, v_day);
  END IF;
END $$;

-- As in 0002_money.sql, but that a standing hold is freed and nothing else.
CREATE OR REPLACE FUNCTION ledger_sweep_holds(p_most integer, p_dead text[])
RETURNS TABLE (swept text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_requests text[];
  v_accounts bigint[];
  v_items    settle_item[];
BEGIN
  SELECT array_agg(h.request_id), array_agg(DISTINCT h.account_id) INTO v_requests, v_accounts
  FROM (SELECT request_id, account_id FROM hold WHERE lease_until < clock_timestamp() OR owner = ANY (p_dead) LIMIT p_most) h;
  IF v_requests IS NULL THEN
    RETURN;
  END IF;
  PERFORM FROM account a WHERE a.id = ANY (v_accounts) ORDER BY a.id FOR NO KEY UPDATE;

  SELECT array_agg(h.request_id), array_agg(ROW (h.request_id, NOT h.stands, NOT h.stands, true, h.tenant_id, h.key_id, h.model, h.requested_model, h.wire,
    h.streamed, h.session, h.agent, h.input_uncached, h.cache_read, h.cache_write, h.output, h.reasoning, 'checkpoint', 'recovered', NULL, NULL,
    NULL, h.started_at, NULL, greatest(0, least(2147483647, extract(epoch FROM h.checkpoint_at - h.reserved_at) * 1000))::integer, NULL, NULL,
    h.account_id, h.price_id, h.reserved_at, NULL, NULL, NULL)::settle_item)
  INTO v_requests, v_items
  FROM (SELECT *, starts_with(request_id, 'standing-') AS stands FROM hold
    WHERE request_id = ANY (v_requests) AND (lease_until < clock_timestamp() OR owner = ANY (p_dead))
    ORDER BY request_id FOR UPDATE SKIP LOCKED) h;
  IF v_requests IS NOT NULL THEN
    PERFORM ledger_settle(v_accounts, v_requests, v_items, true);
    RETURN QUERY SELECT * FROM unnest(v_requests);
  END IF;
END $$;
