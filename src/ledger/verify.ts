/** Recomputes everything that must hold of the ledger from its first principles, and shows the rows where it does not. */
import { sql } from "kysely";
import type { Store } from "../db/open-store.ts";

export type Check = {
  name: string;
  /** What must hold, for people. */
  rule: string;
  /** Rows that break it, at most `MOST_ROWS`; amounts as text. */
  rows: Record<string, string | null>[];
};

export type Verification = { ok: boolean; checks: Check[] };

const MOST_ROWS = 100;

/**
 * Which rows of usage may have a price that was followed by another (`n`) before they were reserved: those that were let in while the database did
 * not answer, at the price that their gateway had heard of last. They have no hold, and of those that have none (others ended in a moment) the database cannot tell them. The
 * embedded database has one gateway, which knows its prices, but for those that were set ahead.
 */
const FOLLOWED = {
  postgres: "u.held IS NULL",
  pglite: "u.held IS NULL AND n.valid_from > n.created_at + interval '1 minute'",
} as const;

/** Each query yields the rows that break its rule, and nothing else. */
const checksOf = (kind: Store["kind"]): readonly { name: string; rule: string; query: string }[] => [
  {
    name: "transactions-balance",
    rule: "every transaction gives to one account what it takes from another",
    query: `SELECT * FROM ledger_transfer WHERE amount <= 0 OR from_account = to_account`,
  },
  {
    name: "transactions-have-sides",
    rule: "usage and adjustments are between a tenant's account and revenue, credit between one and cash",
    query: `SELECT t.* FROM ledger_transfer t LEFT JOIN account a ON a.id = t.from_account LEFT JOIN account b ON b.id = t.to_account
      WHERE (a.name IS NULL) = (b.name IS NULL) OR coalesce(a.name, b.name) <> CASE kind WHEN 'credit' THEN 'cash' ELSE 'revenue' END`,
  },
  {
    name: "balances",
    rule: "an account's balance is the sum of its entries",
    query: `SELECT a.id, a.tenant_id, a.balance, coalesce(e.sum, 0) AS entries
      FROM account a LEFT JOIN (SELECT account_id, sum(amount) AS sum FROM ledger_entry GROUP BY 1) e ON e.account_id = a.id
      WHERE a.terms <> 'own' AND a.balance <> coalesce(e.sum, 0)`,
  },
  {
    name: "entries-have-accounts",
    rule: "every entry is of an account that exists",
    query: `SELECT e.* FROM ledger_entry e LEFT JOIN account a ON a.id = e.account_id WHERE a.id IS NULL`,
  },
  {
    name: "held",
    rule: "what an account holds is the sum of its open holds",
    query: `SELECT a.id, a.tenant_id, a.held, coalesce(h.sum, 0) AS holds
      FROM account a LEFT JOIN (SELECT account_id, sum(amount) AS sum FROM hold GROUP BY 1) h ON h.account_id = a.id
      WHERE a.held <> coalesce(h.sum, 0)`,
  },
  {
    name: "costs-are-charged",
    rule: "a request's cost is what its account was charged, by usage and adjustment together",
    query: `SELECT u.request_id, u.tenant_id, u.cost, coalesce(-e.sum, 0) AS charged
      FROM usage_event u LEFT JOIN (
        SELECT transaction_id, account_id, sum(amount) AS sum FROM ledger_entry WHERE kind <> 'credit' GROUP BY 1, 2
      ) e ON e.transaction_id = u.request_id AND e.account_id = u.account_id
      WHERE u.cost <> coalesce(-e.sum, 0)`,
  },
  {
    name: "charges-have-usage",
    rule: "every charge is of a request that has a usage row",
    query: `SELECT e.* FROM ledger_entry e LEFT JOIN usage_event u ON u.request_id = e.transaction_id
      WHERE e.kind <> 'credit' AND u.request_id IS NULL`,
  },
  {
    name: "charged-to-the-tenant",
    rule: "a request is charged to its own tenant",
    query: `SELECT u.request_id, u.tenant_id, u.account_id FROM usage_event u LEFT JOIN account a ON a.id = u.account_id
      WHERE u.account_id IS NOT NULL AND a.tenant_id IS DISTINCT FROM u.tenant_id`,
  },
  {
    name: "costs-follow-prices",
    rule: "a request costs its tokens at its price, or nothing",
    query: `SELECT u.request_id, u.cost, cost_of(p, u.input_uncached, u.cache_read, u.cache_write, u.output) AS at_price
      FROM usage_event u LEFT JOIN price_version p ON p.id = u.price_id
      WHERE u.cost <> 0 AND u.cost IS DISTINCT FROM cost_of(p, u.input_uncached, u.cache_read, u.cache_write, u.output)`,
  },
  {
    name: "limits-hold",
    rule: "a request that limits could not pay in full was charged what was held for it, and no more",
    query: `SELECT u.request_id, u.tenant_id, u.cost, u.held, u.unbilled_prompt, u.unbilled_output FROM usage_event u
      WHERE u.unbilled_prompt + u.unbilled_output > 0 AND (u.held IS NULL OR u.cost > u.held)`,
  },
  {
    name: "prices-of-their-time",
    rule: "a request has the price that was valid for its model when it was reserved, or was known of while the database was away",
    // A price that was being set in that very moment may have been either; clocks of an outage agree within minutes. A price that is gone was set
    // after the backup that the database was restored from: what had been let in at it has cost nothing.
    query: `SELECT u.request_id, u.model, u.reserved_at, u.price_id, p.valid_from FROM usage_event u LEFT JOIN price_version p ON p.id = u.price_id
      WHERE (u.price_id IS NOT NULL AND p.id IS NULL) OR p.model <> u.model OR p.valid_from > u.reserved_at + interval '5 minutes'
        OR EXISTS (SELECT FROM price_version n WHERE n.model = p.model AND n.valid_from > p.valid_from AND NOT (${FOLLOWED[kind]})
          AND n.valid_from < u.reserved_at - interval '5 minutes' AND n.created_at < u.reserved_at - interval '5 minutes')`,
  },
  {
    name: "budgets",
    rule: "a budget's period counts what was spent and is held in it, exactly",
    query: `WITH moved AS (
        SELECT b.id, period_start(b.period, utc_day(u.reserved_at)) AS start, u.cost AS spent, 0 AS held
        FROM usage_event u JOIN budget b ON b.tenant_id = u.tenant_id AND (b.key_id IS NULL OR b.key_id = u.key_id) WHERE u.cost > 0
        UNION ALL
        SELECT b.id, period_start(b.period, utc_day(h.reserved_at)), 0, h.amount
        FROM hold h JOIN budget b ON b.tenant_id = h.tenant_id AND (b.key_id IS NULL OR b.key_id = h.key_id) WHERE h.amount > 0),
      sums AS (
        SELECT m.id AS budget_id, m.start, sum(m.spent) AS spent, sum(m.held) AS held
        FROM moved m JOIN budget b ON b.id = m.id AND m.start >= b.since GROUP BY 1, 2)
      SELECT coalesce(p.budget_id, s.budget_id) AS budget_id, coalesce(p.start, s.start) AS start, p.spent, p.held,
        coalesce(s.spent, 0) AS spent_in_fact, coalesce(s.held, 0) AS held_in_fact
      FROM budget_period p FULL JOIN sums s ON s.budget_id = p.budget_id AND s.start = p.start
      WHERE p.spent IS DISTINCT FROM coalesce(s.spent, 0) OR p.held IS DISTINCT FROM coalesce(s.held, 0)`,
  },
  {
    name: "holds-end",
    rule: "no hold is open a minute after its lease",
    query: `SELECT request_id, tenant_id, owner, lease_until FROM hold WHERE lease_until < now() - interval '1 minute'`,
  },
  {
    name: "settled-or-held",
    rule: "a request that has its usage row holds nothing",
    query: `SELECT h.request_id, h.tenant_id, h.amount FROM hold h JOIN usage_event u ON u.request_id = h.request_id`,
  },
  {
    name: "roll-ups",
    rule: "the roll-ups are the sums of the usage rows",
    query: `WITH sums AS (
        SELECT date_trunc('hour', reserved_at, 'UTC') AS hour, tenant_id, key_id, model, count(*) AS requests,
          count(*) FILTER (WHERE outcome <> 'ok') AS not_ok, sum(input_uncached) AS input_uncached, sum(cache_read) AS cache_read,
          sum(cache_write) AS cache_write, sum(output) AS output, sum(reasoning) AS reasoning, sum(cost) AS cost
        FROM usage_event GROUP BY 1, 2, 3, 4)
      SELECT coalesce(h.hour, s.hour) AS hour, coalesce(h.tenant_id, s.tenant_id) AS tenant_id, coalesce(h.key_id, s.key_id) AS key_id,
        coalesce(h.model, s.model) AS model, h.requests, s.requests AS requests_in_fact, h.cost, s.cost AS cost_in_fact
      FROM usage_hour h FULL JOIN sums s ON (h.hour, h.tenant_id, h.key_id, h.model) = (s.hour, s.tenant_id, s.key_id, s.model)
      WHERE (h.requests, h.not_ok, h.input_uncached, h.cache_read, h.cache_write, h.output, h.reasoning, h.cost)
        IS DISTINCT FROM (s.requests, s.not_ok, s.input_uncached, s.cache_read, s.cache_write, s.output, s.reasoning, s.cost)`,
  },
  {
    name: "guards",
    rule: "the database refuses changes of what is written once",
    query: `SELECT g.name AS missing FROM unnest(ARRAY['ledger_transfer_append_only', 'price_version_append_only',
        'usage_event_kept', 'usage_event_written_once']) AS g (name)
      WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgname = g.name AND t.tgenabled IN ('O', 'A'))`,
  },
];

/** Looks at one moment of the ledger; requests go on meanwhile. Reads everything there is: minutes on a large database. */
export async function verifyLedger(store: Store): Promise<Verification> {
  const checks = await store.patient
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (trx) => {
      const done: Check[] = [];
      for (const { name, rule, query } of checksOf(store.kind)) {
        const { rows } = await sql<{ row: Record<string, unknown> }>`
          SELECT to_jsonb(broken) AS row FROM (${sql.raw(query)} LIMIT ${MOST_ROWS}) broken`.execute(trx);
        done.push({ name, rule, rows: rows.map(({ row }) => asText(row)) });
      }
      return done;
    });
  return { ok: checks.every(({ rows }) => rows.length === 0), checks };
}

function asText(row: Record<string, unknown>): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value === null ? null : String(value as string | number | boolean),
    ]),
  );
}
