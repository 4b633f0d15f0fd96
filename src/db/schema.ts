/**
 * The tables as Kysely sees them; migrations/*.sql is the truth. int8 is bigint, timestamptz a Date, bytea bytes and
 * numeric a string, from both drivers (type-parsers.ts).
 */
import type { ColumnType, Generated } from "kysely";

/** A time that the database sets unless the program does. */
type DefaultTime = ColumnType<Date, Date | undefined, Date>;
type Bytes = ColumnType<Uint8Array, Uint8Array, Uint8Array>;

export type TenantTable = {
  id: string;
  name: string;
  created_at: DefaultTime;
  archived_at: Date | null;
};

export type VirtualKeyTable = {
  id: string;
  tenant_id: string;
  name: string;
  /** HMAC-SHA-256 of the key under the gateway's secret. */
  hmac: Bytes;
  /** What a list may show of the key. */
  hint: string;
  created_at: DefaultTime;
  expires_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
  /** Served names that the key may use; null: all. */
  allowed_models: ColumnType<string[] | null, string[] | null | undefined, string[] | null>;
};

export type UsageEventTable = {
  request_id: string;
  tenant_id: string;
  key_id: string;
  model: string;
  requested_model: string;
  wire: string;
  streamed: boolean;
  session: string | null;
  agent: string | null;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  counted_by: "engine" | "gateway" | "checkpoint";
  outcome: "ok" | "client_gone" | "engine_died" | "recovered" | "error";
  finish_reason: string | null;
  error_code: string | null;
  engine: string | null;
  started_at: Date;
  first_token_ms: number | null;
  duration_ms: number;
  repeat_of: string | null;
  prefix_break: string | null;
  recorded_at: DefaultTime;
  account_id: ColumnType<bigint | null, never, never>;
  price_id: ColumnType<bigint | null, never, never>;
  /** nano-USD. */
  cost: ColumnType<bigint, never, never>;
  held: ColumnType<bigint | null, never, never>;
  reserved_at: ColumnType<Date, never, never>;
  cut_by: ColumnType<string | null, never, never>;
  unbilled_prompt: ColumnType<number, never, never>;
  unbilled_output: ColumnType<number, never, never>;
  adjusted_at: ColumnType<Date | null, never, never>;
};

/** nano-USD. What a tenant has or owes; see 0002_money.sql. */
export type AccountTable = {
  id: Generated<bigint>;
  tenant_id: string | null;
  terms: "prepaid" | "postpaid" | "own";
  name: string | null;
  balance: ColumnType<bigint, never, bigint>;
  held: ColumnType<bigint, never, never>;
  floor: bigint | null;
};

/** pico-USD a token. */
export type PriceVersionTable = {
  id: Generated<bigint>;
  model: string;
  valid_from: Date;
  input_uncached: bigint;
  cache_read: bigint;
  cache_write: bigint;
  output: bigint;
  created_at: DefaultTime;
  created_by: string;
};

/** nano-USD. Dates are read with `::text`: the driver would make them local midnights. */
export type BudgetTable = {
  id: Generated<bigint>;
  tenant_id: string;
  key_id: string | null;
  period: "day" | "week" | "month";
  amount: bigint;
  since: ColumnType<Date, string, never>;
  created_at: DefaultTime;
  updated_at: DefaultTime;
};

export type BudgetPeriodTable = {
  budget_id: bigint;
  start: ColumnType<Date, string, never>;
  spent: bigint;
  held: bigint;
};

/** Written by the functions of 0002_money.sql alone. */
export type HoldTable = {
  request_id: string;
  tenant_id: string;
  key_id: string;
  account_id: bigint | null;
  amount: bigint;
  reserved_at: Date;
  owner: string;
  lease_until: Date;
};

export type LedgerTransferTable = {
  transaction_id: string;
  kind: "usage" | "adjustment" | "credit";
  from_account: bigint;
  to_account: bigint;
  amount: bigint;
  at: DefaultTime;
  note: string | null;
};
/** A view over ledger_transfer: two rows for each of its rows. */
export type LedgerEntryView = {
  transaction_id: string;
  account_id: bigint;
  kind: LedgerTransferTable["kind"];
  amount: bigint;
  at: Date;
  note: string | null;
};

type UsageSumColumns = {
  tenant_id: string;
  key_id: string;
  model: string;
  requests: bigint;
  not_ok: bigint;
  input_uncached: bigint;
  cache_read: bigint;
  cache_write: bigint;
  output: bigint;
  reasoning: bigint;
  cost: bigint;
};
export type UsageHourTable = { hour: Date } & UsageSumColumns;
/** A view over usage_hour. */
export type UsageDayView = { day: Date } & UsageSumColumns;

export type AdminKeyTable = {
  id: string;
  name: string;
  hmac: Bytes;
  access: Generated<"read" | "write">;
  /** Null: given to the gateway at its start. */
  hint: string | null;
  created_by: string | null;
  created_at: DefaultTime;
  revoked_at: Date | null;
};

export type AuditLogTable = {
  id: Generated<bigint>;
  at: DefaultTime;
  /** Id of the admin key, or `gateway` for what the gateway did itself. */
  actor: string;
  action: string;
  subject: string;
  /** JSON text going in, a value coming out. */
  detail: ColumnType<unknown, string | undefined, never>;
};

export type SettingTable = { name: string; value: string; updated_at: DefaultTime };

export type Schema = {
  tenant: TenantTable;
  virtual_key: VirtualKeyTable;
  usage_event: UsageEventTable;
  admin_key: AdminKeyTable;
  audit_log: AuditLogTable;
  setting: SettingTable;
  account: AccountTable;
  price_version: PriceVersionTable;
  budget: BudgetTable;
  budget_period: BudgetPeriodTable;
  hold: HoldTable;
  ledger_transfer: LedgerTransferTable;
  ledger_entry: LedgerEntryView;
  usage_hour: UsageHourTable;
  usage_day: UsageDayView;
};
