-- Reserving and settling a request that comes alone, as most do where few work. The functions of 0002_money.sql are made for many at a time: their statements
-- join and sum, and getting such a statement ready takes Postgres longer than running it for one. Here each step is a statement of its own, and whatever is
-- not ordinary (a limit that refuses, a request that outran its hold) is left to those functions. A test compares the two ways.

-- Moves money of one account and of the budgets that apply: `p_cost` is charged, and `p_held` more is held (less, below zero). Answers with the limits, and
-- whether they had so much. Takes the account's lock; budgets are read after it.
CREATE FUNCTION ledger_move(p_account bigint, p_tenant text, p_key text, p_day date, p_cost bigint, p_held bigint,
  OUT limits money_limit[], OUT fits boolean) LANGUAGE plpgsql AS $$
DECLARE
  v_unspent bigint;
  v_budget  budget;
  v_start   date;
  v_spent   bigint;
  v_held    bigint;
BEGIN
  limits := '{}';
  UPDATE account a SET balance = a.balance - p_cost, held = a.held + p_held WHERE a.id = p_account
  RETURNING a.balance - a.held - a.floor INTO v_unspent;
  fits := coalesce(v_unspent >= 0, true);
  IF v_unspent IS NOT NULL THEN
    limits := limits || ROW (p_account, NULL, NULL, NULL, NULL, NULL, NULL, NULL, v_unspent)::money_limit;
  END IF;
  FOR v_budget IN SELECT * FROM budgets_of(p_tenant, p_key) LOOP
    v_start := period_start(v_budget.period, p_day);
    CONTINUE WHEN v_start < v_budget.since;
    INSERT INTO budget_period AS p (budget_id, start, spent, held) VALUES (v_budget.id, v_start, p_cost, p_held)
    ON CONFLICT (budget_id, start) DO UPDATE SET spent = p.spent + excluded.spent, held = p.held + excluded.held
    RETURNING p.spent, p.held INTO v_spent, v_held;
    v_unspent := v_budget.amount - v_spent - v_held;
    fits := fits AND v_unspent >= 0;
    limits := limits || ROW (NULL, v_budget.id, v_budget.tenant_id, v_budget.key_id, v_budget.period, v_budget.amount, v_spent,
      period_end(v_budget.period, v_start), v_unspent)::money_limit;
  END LOOP;
  fits := fits OR p_held <= 0;
END $$;

-- As ledger_reserve, for one item.
CREATE FUNCTION ledger_reserve_one(p_owner text, p_lease interval, p_item reserve_item)
RETURNS TABLE (
  n integer, refused_by bigint, terms text, account_id bigint, price_id bigint, amount bigint, reserved_at timestamptz,
  input_uncached bigint, cache_read bigint, cache_write bigint, output bigint,
  budget_id bigint, tenant_id text, key_id text, period text, spent bigint, resets_at timestamptz, unspent bigint
) LANGUAGE plpgsql
  SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := clock_timestamp();
  v_account account;
  v_price   price_version;
  v_payer   bigint;
  v_amount  bigint;
  v_moved   record;
  v_limit   money_limit;
BEGIN
  SELECT a.* INTO v_account FROM account a WHERE a.tenant_id = p_item.tenant_id;
  IF FOUND THEN
    SELECT v.* INTO v_price FROM price_version v WHERE v.model = p_item.model AND v.valid_from <= v_now ORDER BY v.valid_from DESC LIMIT 1;
    IF FOUND THEN
      v_payer := v_account.id;
    END IF;
  END IF;
  v_amount := hold_for(v_price, p_item.input, p_item.output);
  INSERT INTO hold (request_id, tenant_id, key_id, model, account_id, price_id, amount, reserved_at, owner, lease_until, checkpoint_at,
    requested_model, wire, streamed, session, agent, started_at)
  VALUES (p_item.request_id, p_item.tenant_id, p_item.key_id, p_item.model, v_payer, v_price.id, v_amount, v_now, p_owner, v_now + p_lease, v_now,
    p_item.requested_model, p_item.wire, p_item.streamed, p_item.session, p_item.agent, p_item.started_at)
  ON CONFLICT (request_id) DO NOTHING;
  IF NOT FOUND THEN
    v_amount := 0;
  END IF;
  IF v_payer IS NOT NULL THEN
    v_moved := ledger_move(v_payer, p_item.tenant_id, p_item.key_id, utc_day(v_now), 0, v_amount);
    IF NOT v_moved.fits THEN
      -- Under the lock that it has, the other way finds out who refuses.
      PERFORM ledger_move(v_payer, p_item.tenant_id, p_item.key_id, utc_day(v_now), 0, -v_amount);
      DELETE FROM hold h WHERE h.request_id = p_item.request_id;
      RETURN QUERY SELECT * FROM ledger_reserve(p_owner, p_lease, ARRAY[p_item]);
      RETURN;
    END IF;
  END IF;

  n := 1;
  terms := v_account.terms;
  account_id := v_payer;
  price_id := v_price.id;
  amount := v_amount;
  reserved_at := v_now;
  RETURN NEXT;
  IF v_payer IS NULL THEN
    RETURN;
  END IF;
  n := NULL;
  terms := NULL;
  account_id := NULL;
  amount := NULL;
  reserved_at := NULL;
  input_uncached := v_price.input_uncached;
  cache_read := v_price.cache_read;
  cache_write := v_price.cache_write;
  output := v_price.output;
  RETURN NEXT;
  price_id := NULL;
  input_uncached := NULL;
  cache_read := NULL;
  cache_write := NULL;
  output := NULL;
  FOREACH v_limit IN ARRAY v_moved.limits LOOP
    account_id := v_limit.account_id;
    amount := v_limit.amount;
    budget_id := v_limit.budget_id;
    tenant_id := v_limit.tenant_id;
    key_id := v_limit.key_id;
    period := v_limit.period;
    spent := v_limit.spent;
    resets_at := v_limit.resets_at;
    unspent := v_limit.unspent;
    RETURN NEXT;
  END LOOP;
END $$;

-- As ledger_settle, for one item that is not `capped`.
CREATE FUNCTION ledger_settle_one(p_item settle_item) RETURNS TABLE (request_id text, adjusted boolean) LANGUAGE plpgsql
  SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_hold  hold;
  v_price price_version;
  v_cost  bigint := 0;
BEGIN
  DELETE FROM hold h WHERE h.request_id = p_item.request_id RETURNING h.* INTO v_hold;
  IF p_item.kept THEN
    IF p_item.billed AND p_item.account_id IS NOT NULL THEN
      SELECT v.* INTO v_price FROM price_version v WHERE v.id = p_item.price_id;
      v_cost := cost_of(v_price, p_item.input_uncached, p_item.cache_read, p_item.cache_write, p_item.output);
    END IF;
    INSERT INTO usage_event (request_id, tenant_id, key_id, model, requested_model, wire, streamed, session, agent, input_uncached,
      cache_read, cache_write, output, reasoning, counted_by, outcome, finish_reason, error_code, engine, started_at, first_token_ms,
      duration_ms, repeat_of, prefix_break, account_id, price_id, reserved_at, cut_by, unbilled_prompt, unbilled_output, held, cost)
    VALUES (p_item.request_id, p_item.tenant_id, p_item.key_id, p_item.model, p_item.requested_model, p_item.wire, p_item.streamed,
      p_item.session, p_item.agent, p_item.input_uncached, p_item.cache_read, p_item.cache_write, p_item.output, p_item.reasoning,
      p_item.counted_by, p_item.outcome, p_item.finish_reason, p_item.error_code, p_item.engine, p_item.started_at, p_item.first_token_ms,
      p_item.duration_ms, p_item.repeat_of, p_item.prefix_break, p_item.account_id, p_item.price_id, p_item.reserved_at, p_item.cut_by,
      coalesce(p_item.unbilled_prompt, 0), coalesce(p_item.unbilled_output, 0),
      CASE WHEN v_hold.price_id IS NOT DISTINCT FROM p_item.price_id THEN v_hold.amount END, v_cost)
    ON CONFLICT (request_id) DO NOTHING;
  END IF;
  IF NOT (p_item.kept AND FOUND) THEN
    -- Its row is there, or it leaves none: nothing more is charged here.
    v_cost := 0;
    PERFORM FROM account a WHERE a.id IN (p_item.account_id, v_hold.account_id) ORDER BY a.id FOR NO KEY UPDATE;
    IF v_hold.amount > 0 THEN
      PERFORM ledger_move(v_hold.account_id, v_hold.tenant_id, v_hold.key_id, utc_day(v_hold.reserved_at), 0, -v_hold.amount);
    END IF;
    request_id := p_item.request_id;
    adjusted := p_item.kept AND EXISTS (SELECT FROM ledger_adjust(ARRAY[p_item]));
    RETURN NEXT;
    RETURN;
  END IF;

  IF v_hold.amount > 0 AND (v_hold.account_id, v_hold.tenant_id, v_hold.key_id, utc_day(v_hold.reserved_at))
      IS DISTINCT FROM (p_item.account_id, p_item.tenant_id, p_item.key_id, utc_day(p_item.reserved_at)) THEN
    -- It was let in without an answer of the database, which has a hold for it all the same.
    PERFORM FROM account a WHERE a.id IN (p_item.account_id, v_hold.account_id) ORDER BY a.id FOR NO KEY UPDATE;
    PERFORM ledger_move(v_hold.account_id, v_hold.tenant_id, v_hold.key_id, utc_day(v_hold.reserved_at), 0, -v_hold.amount);
    v_hold.amount := 0;
  END IF;
  IF v_cost > 0 THEN
    INSERT INTO ledger_transfer (transaction_id, kind, from_account, to_account, amount)
    VALUES (p_item.request_id, 'usage', p_item.account_id, 1, v_cost);
  END IF;
  IF v_cost > 0 OR v_hold.amount > 0 THEN
    PERFORM ledger_move(p_item.account_id, p_item.tenant_id, p_item.key_id, utc_day(p_item.reserved_at), v_cost, -coalesce(v_hold.amount, 0));
  END IF;
  INSERT INTO usage_hour AS h (hour, tenant_id, key_id, model, requests, not_ok, input_uncached, cache_read, cache_write, output, reasoning, cost)
  VALUES (date_trunc('hour', p_item.reserved_at, 'UTC'), p_item.tenant_id, p_item.key_id, p_item.model, 1, (p_item.outcome <> 'ok')::integer,
    p_item.input_uncached, p_item.cache_read, p_item.cache_write, p_item.output, p_item.reasoning, v_cost)
  ON CONFLICT (hour, tenant_id, key_id, model) DO UPDATE SET requests = h.requests + excluded.requests,
    not_ok = h.not_ok + excluded.not_ok, input_uncached = h.input_uncached + excluded.input_uncached,
    cache_read = h.cache_read + excluded.cache_read, cache_write = h.cache_write + excluded.cache_write,
    output = h.output + excluded.output, reasoning = h.reasoning + excluded.reasoning, cost = h.cost + excluded.cost;
END $$;
