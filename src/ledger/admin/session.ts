/** One client session, request by request: its main loop and its subagents apart, and how each prompt fared in the prefix cache. */
import { sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import { formatUsd } from "../money.ts";
import { findTenant } from "./find-tenant.ts";
import { type Db, rowsOf } from "./read-rows.ts";

export type SessionRequest = {
  request_id: string;
  model: string;
  requested_model: string;
  /** ISO 8601. */
  started_at: string;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  /** 0 to 1: how much of the prompt came from the cache; null without a prompt. */
  cache_hit: number | null;
  /** Where and why the prompt did not begin with the session's last one; null when it did. */
  prefix_break: string | null;
  outcome: string;
  finish_reason: string | null;
  error_code: string | null;
  cut_by: string | null;
  repeat_of: string | null;
  engine: string | null;
  first_token_ms: number | null;
  duration_ms: number;
  cost_usd: string;
};

/** Requests of one agent and model: each prompt should begin with the one before. */
export type SessionThread = { agent: string | null; model: string; requests: SessionRequest[] };

export type Session = {
  session: string;
  tenant: string;
  tenant_id: string;
  requests: number;
  prefix_breaks: number;
  cache_hit: number | null;
  cost_usd: string;
  /** The main loop first, then subagents by their first request. */
  threads: SessionThread[];
};

/** Longest session that is shown; agents run for days. */
const MOST_REQUESTS = 10_000;

/**
 * Session ids are the clients' own, so two tenants can have the same; `tenant` is an id or a name. Throws GatewayError `not_found`, and `invalid_request` where the
 * tenant has to be named, or the session is too long.
 */
export async function readSession(db: Db, session: string, tenant?: string): Promise<Session> {
  const tenantId = tenant === undefined ? null : (await findTenant(db, tenant)).id;
  const rows = await rowsOf(
    db,
    sql<Row>`
      SELECT u.*, t.name AS tenant FROM usage_event u JOIN tenant t ON t.id = u.tenant_id
      WHERE u.session = ${session} AND (${tenantId}::text IS NULL OR u.tenant_id = ${tenantId})
      ORDER BY u.started_at, u.request_id LIMIT ${MOST_REQUESTS + 1}`,
  );
  const [first] = rows;
  if (first === undefined)
    throw new GatewayError(
      "not_found",
      `no request of a session ${session} was recorded; ids: evener usage --by session`,
    );
  const tenants = [...new Set(rows.map((row) => row.tenant))];
  if (tenants.length > 1)
    throw new GatewayError(
      "invalid_request",
      `several tenants have a session of that id (${tenants.join(", ")}); name one with --tenant`,
      { param: "tenant" },
    );
  if (rows.length > MOST_REQUESTS)
    throw new GatewayError("invalid_request", `the session has more than ${MOST_REQUESTS} requests; see evener usage`);
  const threads = new Map<string, SessionThread>();
  for (const row of rows) {
    const key = JSON.stringify([row.agent, row.model]);
    const thread = threads.get(key) ?? { agent: row.agent, model: row.model, requests: [] };
    threads.set(key, thread);
    thread.requests.push(toRequest(row));
  }
  return {
    session,
    tenant: first.tenant,
    tenant_id: first.tenant_id,
    requests: rows.length,
    prefix_breaks: rows.filter((row) => row.prefix_break !== null).length,
    cache_hit: hit(
      rows.reduce((sum, row) => sum + row.cache_read, 0),
      rows.reduce((sum, row) => sum + promptOf(row), 0),
    ),
    cost_usd: formatUsd(rows.reduce((sum, row) => sum + row.cost, 0n)),
    threads: [...threads.values()].sort((a, b) => Number(a.agent !== null) - Number(b.agent !== null)),
  };
}

type Row = Omit<SessionRequest, "started_at" | "cost_usd" | "cache_hit"> & {
  tenant: string;
  tenant_id: string;
  agent: string | null;
  started_at: Date;
  cost: bigint;
};

function promptOf(row: Pick<Row, "input_uncached" | "cache_read" | "cache_write">): number {
  return row.input_uncached + row.cache_read + row.cache_write;
}

/** To four decimals. */
function hit(cached: number, prompt: number): number | null {
  return prompt === 0 ? null : Math.round((cached / prompt) * 10_000) / 10_000;
}

function toRequest(row: Row): SessionRequest {
  return {
    request_id: row.request_id,
    model: row.model,
    requested_model: row.requested_model,
    started_at: row.started_at.toISOString(),
    input_uncached: row.input_uncached,
    cache_read: row.cache_read,
    cache_write: row.cache_write,
    output: row.output,
    reasoning: row.reasoning,
    cache_hit: hit(row.cache_read, promptOf(row)),
    prefix_break: row.prefix_break,
    outcome: row.outcome,
    finish_reason: row.finish_reason,
    error_code: row.error_code,
    cut_by: row.cut_by,
    repeat_of: row.repeat_of,
    engine: row.engine,
    first_token_ms: row.first_token_ms,
    duration_ms: row.duration_ms,
    cost_usd: formatUsd(row.cost),
  };
}
