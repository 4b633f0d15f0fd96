/** What the ledger writes into its journal, and how a request that never came to its end is settled from it. */
import type { CheckpointItem, HoldFacts } from "../statements.ts";
import type { SettleItem } from "../settle-item.ts";

/** A request was let in. All that a usage row needs, should nothing else follow. */
export type OpenRecord = {
  t: "open";
  request_id: string;
  tenant_id: string;
  key_id: string;
  model: string;
  account_id: number | null;
  price_id: number | null;
  reserved_at: string;
} & HoldFacts;

/** Running counts: request id, number of the checkpoint, uncached, cache read, cache write, output, reasoning. */
export type Count = readonly [string, number, number, number, number, number, number];
export type CountRecord = { t: "count"; at: string; counts: Count[] };

export type SettleRecord = { t: "settle"; item: SettleItem };

export type JournalRecord = OpenRecord | CountRecord | SettleRecord;

/** A count as the database takes it. */
export function checkpointItem([
  requestId,
  checkpoint,
  uncached,
  read,
  write,
  output,
  reasoning,
]: Count): CheckpointItem {
  return {
    request_id: requestId,
    checkpoint,
    input_uncached: uncached,
    cache_read: read,
    cache_write: write,
    output,
    reasoning,
    ahead: 0,
  };
}

/** The end of a request that its gateway did not live to see: what its last checkpoint says. */
export function recoveredItem(open: OpenRecord, last: Count | undefined, at: string): SettleItem {
  const { t: _t, ...known } = open;
  const [, , inputUncached, cacheRead, cacheWrite, output, reasoning] = last ?? [open.request_id, 0, 0, 0, 0, 0, 0];
  return {
    ...known,
    kept: true,
    billed: true,
    unheld: false,
    // What was held may be less than what was counted last.
    capped: true,
    input_uncached: inputUncached,
    cache_read: cacheRead,
    cache_write: cacheWrite,
    output,
    reasoning,
    counted_by: "checkpoint",
    outcome: "recovered",
    duration_ms: Math.max(0, Date.parse(at) - Date.parse(open.reserved_at)),
  };
}
