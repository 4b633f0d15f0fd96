/** Knows the statement that writes usage rows: an array a column for many, so that its text and plan never change. */
import type { Statement } from "../db/connection-pool.ts";
import type { Store } from "../db/open-store.ts";
import { storableText as text, storableTextOrNull as textOrNull } from "./storable-text.ts";
import type { UsageRow } from "./usage-row.ts";

type Column = { name: string; type: string; value: (row: UsageRow) => string | number | boolean | null };

const COLUMNS: readonly Column[] = [
  { name: "request_id", type: "text", value: (row) => row.requestId },
  { name: "tenant_id", type: "text", value: (row) => row.tenantId },
  { name: "key_id", type: "text", value: (row) => row.keyId },
  { name: "model", type: "text", value: (row) => text(row.model) },
  { name: "requested_model", type: "text", value: (row) => text(row.requestedModel) },
  { name: "wire", type: "text", value: (row) => row.wire },
  { name: "streamed", type: "boolean", value: (row) => row.streamed },
  { name: "session", type: "text", value: (row) => textOrNull(row.session) },
  { name: "agent", type: "text", value: (row) => textOrNull(row.agent) },
  { name: "input_uncached", type: "integer", value: (row) => row.usage.inputUncached },
  { name: "cache_read", type: "integer", value: (row) => row.usage.cacheRead },
  { name: "cache_write", type: "integer", value: (row) => row.usage.cacheWrite },
  { name: "output", type: "integer", value: (row) => row.usage.output },
  { name: "reasoning", type: "integer", value: (row) => row.usage.reasoning },
  { name: "counted_by", type: "text", value: (row) => row.countedBy },
  { name: "outcome", type: "text", value: (row) => row.outcome },
  { name: "finish_reason", type: "text", value: (row) => textOrNull(row.finishReason) },
  { name: "error_code", type: "text", value: (row) => row.errorCode },
  { name: "engine", type: "text", value: (row) => textOrNull(row.engine) },
  { name: "started_at", type: "timestamptz", value: (row) => row.startedAt.toISOString() },
  { name: "first_token_ms", type: "integer", value: (row) => wholeOrNull(row.firstTokenMs) },
  { name: "duration_ms", type: "integer", value: (row) => Math.round(row.durationMs) },
  { name: "repeat_of", type: "text", value: (row) => row.repeatOf },
  { name: "prefix_break", type: "text", value: (row) => textOrNull(row.prefixBreak) },
];

function wholeOrNull(value: number | null): number | null {
  return value === null ? null : Math.round(value);
}

const INTO = `INSERT INTO usage_event (${COLUMNS.map(({ name }) => name).join(", ")})`;
/** A row that is there already stays as it is: writing a batch again after a lost answer changes nothing. */
const ONCE = "ON CONFLICT (request_id) DO NOTHING";

function parameters(suffix: string): string {
  return COLUMNS.map(({ type }, index) => `$${index + 1}::${type}${suffix}`).join(", ");
}

const INSERT_MANY: Statement = {
  name: "insert-usage",
  text: `${INTO} SELECT * FROM unnest(${parameters("[]")}) ${ONCE}`,
};
/** Half the work for the database, where requests come one at a time. */
const INSERT_ONE: Statement = { name: "insert-usage-row", text: `${INTO} VALUES (${parameters("")}) ${ONCE}` };

/** Writes all of the rows or, when it rejects, none. Rows with the same request id count once, the first. */
export async function insertUsage(store: Store, rows: readonly UsageRow[]): Promise<void> {
  const [only] = rows;
  if (rows.length === 1 && only !== undefined)
    await store.run(
      INSERT_ONE,
      COLUMNS.map(({ value }) => value(only)),
    );
  else
    await store.run(
      INSERT_MANY,
      COLUMNS.map(({ value }) => rows.map(value)),
    );
}
