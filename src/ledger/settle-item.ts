/**
 * A request's end as it goes to the database and into the journal: its usage row, and the terms on which it was reserved. It carries
 * all that is needed, so that it can be settled without its hold.
 */
import { isoTime } from "../base/iso-time.ts";
import type { UsageRow } from "./usage-row.ts";
import { storableText, storableTextOrNull } from "./storable-text.ts";

/** Fixed when the request was reserved, and by the database's clock. */
export type ReservedTerms = {
  /** Null: nothing can be charged, for want of an account or a price. Then both are. */
  readonly accountId: number | null;
  readonly priceId: number | null;
  readonly reservedAt: Date;
};

/** Named as `ledger_settle` in 0002_money.sql reads it. */
export type SettleItem = {
  readonly request_id: string;
  /** False: only frees the hold; the request leaves no row. */
  readonly kept: boolean;
  /** False: costs nothing, whatever was counted. */
  readonly billed: boolean;
  /** No hold was made for it and nothing can be charged: its row is all there is to write. */
  readonly unheld: boolean;
  /** Costs perhaps more than is held for it, and has limits: it is charged no more than they have room for. */
  readonly capped: boolean;
  readonly account_id: number | null;
  readonly outcome: UsageRow["outcome"];
  readonly [column: string]: string | number | boolean | null;
};

export type SettleHow = Pick<SettleItem, "billed"> &
  Partial<Pick<SettleItem, "capped" | "unheld">> & { cutBy: string | null };

export function settleItem(
  row: UsageRow,
  terms: ReservedTerms,
  { billed, cutBy, capped = false, unheld = false }: SettleHow,
): SettleItem {
  const output = whole(row.usage.output);
  return {
    request_id: row.requestId,
    kept: true,
    billed,
    unheld,
    capped,
    tenant_id: row.tenantId,
    key_id: row.keyId,
    model: storableText(row.model),
    requested_model: storableText(row.requestedModel),
    wire: row.wire,
    streamed: row.streamed,
    session: storableTextOrNull(row.session),
    agent: storableTextOrNull(row.agent),
    input_uncached: whole(row.usage.inputUncached),
    cache_read: whole(row.usage.cacheRead),
    cache_write: whole(row.usage.cacheWrite),
    output,
    reasoning: Math.min(output, whole(row.usage.reasoning)),
    counted_by: row.countedBy,
    outcome: row.outcome,
    finish_reason: storableTextOrNull(row.finishReason),
    error_code: row.errorCode,
    engine: storableTextOrNull(row.engine),
    started_at: isoTime(row.startedAt.getTime()),
    first_token_ms: row.firstTokenMs === null ? null : whole(row.firstTokenMs),
    duration_ms: whole(row.durationMs),
    repeat_of: row.repeatOf,
    prefix_break: storableTextOrNull(row.prefixBreak),
    account_id: terms.accountId,
    price_id: terms.priceId,
    reserved_at: isoTime(terms.reservedAt.getTime()),
    cut_by: cutBy,
  };
}

/** Frees a hold whose request never began. */
export function releaseItem(requestId: string, accountId: number | null): SettleItem {
  return {
    request_id: requestId,
    kept: false,
    billed: false,
    unheld: false,
    capped: false,
    account_id: accountId,
    outcome: "error",
  };
}

const LARGEST_INTEGER = 2_147_483_647;

/** What the database's integers take: a figure that is none (a clock set back, an engine's nonsense) must not cost the row. */
export function whole(value: number): number {
  return value >= 0 ? Math.min(LARGEST_INTEGER, Math.round(value)) : 0;
}
