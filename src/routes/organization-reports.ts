/** `/v1/organizations/usage_report/messages` and `/v1/organizations/cost_report`, in buckets of time. */
import type { Context, Hono } from "hono";
import { z } from "zod";
import { GatewayError } from "../conversation/errors.ts";
import { isReadableTime } from "../db/readable-time.ts";
import {
  BUCKETS,
  type BucketWidth,
  type CostLineRow,
  type Span,
  type UsageBucketRow,
  type UsageFilter,
  type UsageGroup,
  costBuckets,
  costLines,
  usageBuckets,
} from "../ledger/admin/bucket-report.ts";
import { formatScaled } from "../ledger/scaled.ts";
import { filterText, timeText } from "./admin-input.ts";
import type { AdminOptions } from "./admin.ts";
import { limitOf, many, one, readQueries } from "./organization-input.ts";
import type { OrganizationEnv } from "./organization-caller.ts";

/** Groups that Anthropic has and a gateway of one's own engines does not: accepted, and null in every row. */
const OTHER_GROUPS = [
  "service_tier",
  "context_window",
  "inference_geo",
  "speed",
  "account_id",
  "service_account_id",
] as const;
const GROUPS: Record<string, UsageGroup> = { workspace_id: "tenant", api_key_id: "key", model: "model" };

const span = { starting_at: one(timeText), ending_at: one(timeText), page: one(filterText) };
export const UsageReportQuery = z.object({
  ...span,
  bucket_width: one(z.enum(["1m", "1h", "1d"])),
  limit: limitOf(1_440),
  group_by: many(z.enum(["workspace_id", "api_key_id", "model", ...OTHER_GROUPS])),
  workspace_ids: many(filterText),
  api_key_ids: many(filterText),
  models: many(filterText),
});
export const CostReportQuery = z.object({
  ...span,
  bucket_width: one(z.enum(["1d"])),
  limit: limitOf(31),
  group_by: many(z.enum(["workspace_id", "description"])),
});

/** Buckets of a page: by default, and at most. As Anthropic has them. */
const LIMITS: Record<BucketWidth, [number, number]> = { "1m": [60, 1_440], "1h": [24, 168], "1d": [7, 31] };

export function reportRoutes(app: Hono<OrganizationEnv>, { store }: AdminOptions): void {
  app.get("/v1/organizations/usage_report/messages", async (c) => {
    const query = readQueries(c, UsageReportQuery);
    const width = query.bucket_width ?? "1d";
    const page = pageOfBuckets(width, query);
    const groups = new Set((query.group_by ?? []).flatMap((name) => GROUPS[name] ?? []));
    // Tenants may ask for this one, as often as they like.
    const db = c.get("caller").kind === "admin" ? store.until(c.req.raw.signal).patient : store.db;
    const rows = await usageBuckets(db, width, page.span, groups, usageFilter(c, query));
    return c.json(report(page, rows, usageResult));
  });
  app.get("/v1/organizations/cost_report", async (c) => {
    const query = readQueries(c, CostReportQuery);
    const page = pageOfBuckets("1d", query);
    const { patient } = store.until(c.req.raw.signal);
    const byTenant = query.group_by?.includes("workspace_id") ?? false;
    if (query.group_by?.includes("description")) {
      const lines = await costLines(patient, page.span, byTenant);
      return c.json(report(page, lines.flatMap(costLineResults), ({ start: _start, ...result }) => result));
    }
    const rows = await costBuckets(patient, page.span, byTenant);
    return c.json(
      report(page, rows, ({ tenant_id, cost }) => ({
        ...costResult(formatScaled(cost, NANO_A_CENT)),
        workspace_id: tenant_id,
      })),
    );
  });
}

/** A tenant's key sees its own usage, whatever it asks for. */
function usageFilter(c: Context<OrganizationEnv>, query: z.output<typeof UsageReportQuery>): UsageFilter {
  const caller = c.get("caller");
  const { workspace_ids: tenantIds, api_key_ids: keyIds, models } = query;
  if (caller.kind === "admin") return { tenantIds, keyIds, models };
  const { tenantId, keyId } = caller.principal;
  if (tenantIds?.some((id) => id !== tenantId) || keyIds?.some((id) => id !== keyId))
    throw new GatewayError("forbidden", "a tenant's key may read its own usage and nothing else; use an admin key");
  return { tenantIds: [tenantId], keyIds: [keyId], models };
}

type BucketPage = { span: Span; stepMs: number; more: boolean };

/** Buckets are snapped to whole minutes, hours, days of UTC. A page token is the start of its first bucket. */
function pageOfBuckets(
  width: BucketWidth,
  {
    starting_at,
    ending_at,
    limit,
    page,
  }: {
    starting_at?: Date | undefined;
    ending_at?: Date | undefined;
    limit?: number | undefined;
    page?: string | undefined;
  },
): BucketPage {
  if (starting_at === undefined)
    throw new GatewayError("invalid_request", "starting_at: give a time as in 2026-11-22T00:00:00Z", {
      param: "starting_at",
    });
  const stepMs = BUCKETS[width].ms;
  const [usual, most] = LIMITS[width];
  const snapped = (at: number): number => Math.floor(at / stepMs) * stepMs;
  const from = page === undefined ? snapped(starting_at.getTime()) : readPage(page, stepMs);
  const end = ending_at === undefined ? snapped(Date.now()) + stepMs : Math.ceil(ending_at.getTime() / stepMs) * stepMs;
  const until = Math.max(from, Math.min(end, from + Math.min(limit ?? usual, most) * stepMs));
  return { span: { from: new Date(from), until: new Date(until) }, stepMs, more: until < end };
}

function readPage(token: string, stepMs: number): number {
  const at = /^page_\d{1,15}$/.test(token) ? Number(token.slice(5)) : Number.NaN;
  if (!isReadableTime(new Date(at)) || at % stepMs !== 0)
    throw new GatewayError("invalid_request", "page: not a token that this report gave", { param: "page" });
  return at;
}

/** Every bucket of the page, also where nothing was used. */
function report<T extends { start: Date }, R>(
  { span: { from, until }, stepMs, more }: BucketPage,
  rows: readonly T[],
  result: (row: T) => R,
) {
  const byStart = Map.groupBy(rows, (row) => row.start.getTime());
  const data = [];
  for (let at = from.getTime(); at < until.getTime(); at += stepMs) {
    data.push({
      starting_at: time(at),
      ending_at: time(at + stepMs),
      results: (byStart.get(at) ?? []).map(result),
    });
  }
  return { data, has_more: more, next_page: more ? `page_${until.getTime()}` : null };
}

function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

function usageResult(row: UsageBucketRow) {
  return {
    uncached_input_tokens: Number(row.input_uncached),
    cache_creation: { ephemeral_5m_input_tokens: Number(row.cache_write), ephemeral_1h_input_tokens: 0 },
    cache_read_input_tokens: Number(row.cache_read),
    output_tokens: Number(row.output),
    server_tool_use: { web_search_requests: 0 },
    workspace_id: row.tenant_id,
    api_key_id: row.key_id,
    model: row.model,
    service_tier: null,
    context_window: null,
    inference_geo: null,
    account_id: null,
    service_account_id: null,
  };
}

const NANO_A_CENT = 7;
const PICO_A_CENT = 10;

/** `amount`: cents, with as many decimals as it takes. */
function costResult(amount: string) {
  return {
    amount,
    currency: "USD",
    workspace_id: null as string | null,
    description: null as string | null,
    cost_type: null as string | null,
    token_type: null as string | null,
    model: null as string | null,
    service_tier: null,
    context_window: null,
    inference_geo: null,
  };
}

const TOKEN_TYPES = {
  input_uncached: ["uncached_input_tokens", "Input Tokens"],
  cache_read: ["cache_read_input_tokens", "Input Tokens, Cache Read"],
  cache_write: ["cache_creation.ephemeral_5m_input_tokens", "Input Tokens, Cache Write"],
  output: ["output_tokens", "Output Tokens"],
} as const;

function costLineResults(row: CostLineRow) {
  return (["input_uncached", "cache_read", "cache_write", "output"] as const)
    .filter((name) => row[name] > 0n)
    .map((name) => ({
      start: row.start,
      ...costResult(formatScaled(row[name], PICO_A_CENT)),
      workspace_id: row.tenant_id,
      description: `${row.model} Usage - ${TOKEN_TYPES[name][1]}`,
      cost_type: "tokens",
      token_type: TOKEN_TYPES[name][0],
      model: row.model,
    }));
}
