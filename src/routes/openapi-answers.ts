/** The shapes of the admin APIs' answers: what the OpenAPI document says, and what tests hold the answers against. */
import { z } from "zod";

const time = z.iso.datetime();
const usd = z
  .string()
  .regex(/^-?\d+\.\d{2,12}$/)
  .describe("USD, an exact decimal");
const cents = z
  .string()
  .regex(/^\d+(\.\d{1,10})?$/)
  .describe("US cents, an exact decimal");
const nullable = { string: z.string().nullable(), time: time.nullable(), usd: usd.nullable(), cents: cents.nullable() };
const period = z.enum(["day", "week", "month"]);
const periodName = z.enum(["daily", "weekly", "monthly"]);
const list = <T extends z.ZodType>(item: T) => z.strictObject({ data: z.array(item) });
const page = <T extends z.ZodType>(item: T) =>
  z.strictObject({ data: z.array(item), has_more: z.boolean(), first_id: nullable.string, last_id: nullable.string });
const cursorPage = <T extends z.ZodType>(item: T) => page(item).extend({ next_page: nullable.string });
const buckets = <T extends z.ZodType>(result: T) =>
  z.strictObject({
    data: z.array(z.strictObject({ starting_at: time, ending_at: time, results: z.array(result) })),
    has_more: z.boolean(),
    next_page: nullable.string,
  });

const terms = {
  terms: z.enum(["prepaid", "postpaid"]),
  credit_limit_usd: nullable.usd,
  balance_usd: usd,
  held_usd: usd,
};
const Tenant = z.strictObject({
  id: z.string(),
  name: z.string(),
  created_at: time,
  archived_at: nullable.time,
  ...terms,
});
const Key = z.strictObject({
  id: z.string(),
  tenant: z.string(),
  tenant_id: z.string(),
  tenant_archived_at: nullable.time.describe("Since when no key of the tenant works; null: they do."),
  name: z.string(),
  hint: z.string(),
  created_at: time,
  expires_at: nullable.time,
  models: z.array(z.string()).nullable().describe("Served names that the key may use; null: all."),
  revoked_at: nullable.time,
  last_used_at: nullable.time,
});
const AdminKey = z.strictObject({
  id: z.string(),
  name: z.string(),
  access: z.enum(["read", "write"]),
  hint: nullable.string,
  created_at: time,
  created_by: nullable.string,
  revoked_at: nullable.time,
});
const Price = z.strictObject({
  id: z.string(),
  model: z.string(),
  valid_from: time,
  input_usd: usd,
  cache_read_usd: usd,
  cache_write_usd: usd,
  output_usd: usd,
  created_at: time,
  created_by: z.string(),
});
const Budget = z.strictObject({
  id: z.string(),
  tenant: z.string(),
  key: nullable.string,
  key_id: nullable.string,
  period,
  amount_usd: usd,
  spent_usd: usd,
  held_usd: usd,
  resets_at: time,
  created_at: time,
  updated_at: time,
});
const scope = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("workspace"), workspace_id: z.string() }),
  z.strictObject({ type: z.literal("api_key"), api_key_id: z.string() }),
]);
const Workspace = z.strictObject({
  id: z.string(),
  type: z.literal("workspace"),
  name: z.string(),
  created_at: time,
  archived_at: nullable.time,
  display_color: z.string(),
  compartment_id: z.null(),
  data_residency: z.null(),
  external_key_id: z.null(),
  user_profile_id: z.null(),
  tags: z.record(z.string(), z.string()),
});
const ApiKey = z.strictObject({
  id: z.string(),
  type: z.literal("api_key"),
  name: z.string(),
  workspace_id: z.string(),
  scope,
  status: z.enum(["active", "inactive", "archived", "expired"]),
  partial_key_hint: z.string(),
  created_at: time,
  expires_at: nullable.time,
  created_by: z.null(),
  principal: z.null(),
});
const SpendLimit = z.strictObject({
  id: z.string(),
  type: z.literal("spend_limit"),
  scope,
  amount: cents,
  currency: z.literal("USD"),
  period: periodName,
  is_enabled: z.literal(true),
  created_at: time,
  updated_at: time,
});
const SpendSummary = z.strictObject({
  type: z.literal("spend_summary"),
  actor: z.strictObject({ type: z.literal("scoped_api_key_actor"), scoped_api_key_id: z.string(), name: z.string() }),
  scope,
  source: scope,
  spend_limit_id: z.string(),
  amount: cents,
  period_to_date_spend: z.string().regex(/^\d+$/).describe("US cents, whole, rounded down"),
  currency: z.literal("USD"),
  period: periodName,
  resets_at: time,
});
const AuditEntry = z.strictObject({
  id: z.string(),
  type: z.literal("spend_limit_audit_entry"),
  created_at: time,
  actor: z.object({ type: z.enum(["admin_key", "gateway"]), admin_key_id: z.string().optional() }),
  action: z.enum(["created", "updated", "deleted"]),
  spend_limit_id: z.string(),
  scope,
  period: periodName,
  amount: nullable.cents,
  previous_amount: nullable.cents,
  currency: z.literal("USD"),
});
const tokens = z.int().min(0);
const UsageResult = z.strictObject({
  uncached_input_tokens: tokens,
  cache_creation: z.strictObject({ ephemeral_5m_input_tokens: tokens, ephemeral_1h_input_tokens: tokens }),
  cache_read_input_tokens: tokens,
  output_tokens: tokens,
  server_tool_use: z.strictObject({ web_search_requests: tokens }),
  workspace_id: nullable.string,
  api_key_id: nullable.string,
  model: nullable.string,
  service_tier: z.null(),
  context_window: z.null(),
  inference_geo: z.null(),
  account_id: z.null(),
  service_account_id: z.null(),
});
const CostResult = z.strictObject({
  amount: cents,
  currency: z.literal("USD"),
  workspace_id: nullable.string,
  description: nullable.string,
  cost_type: nullable.string,
  token_type: nullable.string,
  model: nullable.string,
  service_tier: z.null(),
  context_window: z.null(),
  inference_geo: z.null(),
});
const spentOf = z.strictObject({ limit: z.null(), used_credits: z.int(), utilization: z.null() });
const OwnUsage = z.strictObject({
  extra_usage: z.strictObject({
    is_enabled: z.literal(true),
    monthly_limit: z.int().nullable(),
    used_credits: z.int(),
    utilization: z.int().nullable(),
    currency: z.literal("USD"),
    daily: spentOf.optional(),
    weekly: spentOf.optional(),
  }),
  limits: z.array(
    z.strictObject({
      kind: z.literal("spend"),
      group: periodName,
      percent: z.int(),
      resets_at: time,
      severity: z.enum(["normal", "warning", "critical"]),
      is_active: z.boolean(),
    }),
  ),
});

export const ANSWERS = {
  WhoAmI: z.strictObject({ id: z.string(), name: z.string(), access: z.enum(["read", "write"]) }),
  Tenant,
  Tenants: list(Tenant.extend({ keys: z.int() })),
  TenantTerms: z.strictObject({ id: z.string(), name: z.string(), ...terms }),
  Credit: z.strictObject({
    id: z.string(),
    tenant: z.string(),
    amount_usd: usd,
    note: nullable.string,
    at: time,
    balance_usd: usd,
  }),
  Key,
  NewKey: Key.extend({
    key: z.string().describe("The key itself, this once."),
    tenant_created: z.boolean().describe("Whether there was no tenant of that name before."),
  }),
  Keys: list(Key),
  AdminKey,
  NewAdminKey: AdminKey.extend({ key: z.string().describe("The key itself, this once.") }),
  AdminKeys: list(AdminKey),
  Price,
  Prices: list(Price),
  Budget,
  Budgets: list(Budget),
  Usage: z.strictObject({
    by: z.string(),
    data: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))),
    next: nullable.string,
  }),
  Session: z.object({ session: z.string(), tenant: z.string(), requests: z.int(), threads: z.array(z.object({})) }),
  Invoice: z.object({ number: z.string(), lines: z.array(z.object({})), total_usd: usd, ledger_usd: usd }),
  Verification: z.strictObject({
    ok: z.boolean(),
    checks: z.array(
      z.strictObject({
        name: z.string(),
        rule: z.string(),
        rows: z.array(z.record(z.string(), z.string().nullable())),
      }),
    ),
  }),
  Rebuilt: z.strictObject({ days: z.int(), corrected: z.int() }),
  Workspace,
  Workspaces: page(Workspace),
  ApiKey,
  ApiKeys: page(ApiKey),
  UsageReport: buckets(UsageResult),
  CostReport: buckets(CostResult),
  SpendLimit,
  SpendLimits: cursorPage(SpendLimit),
  SpendLimitDeleted: z.strictObject({ id: z.string(), type: z.literal("spend_limit_deleted") }),
  EffectiveSpendLimits: cursorPage(SpendSummary),
  SpendLimitAudit: cursorPage(AuditEntry),
  OwnUsage,
} as const;
