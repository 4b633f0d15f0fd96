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
};

export type AdminKeyTable = {
  id: string;
  name: string;
  hmac: Bytes;
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
};
