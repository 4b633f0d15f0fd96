/** Does again what a journal says: settles what had ended, and settles at its last checkpoint what had not. Safe to repeat. */
import type { Store } from "../../db/open-store.ts";
import type { SettleItem } from "../settle-item.ts";
import { type CheckpointItem, checkpointHolds, settleItems } from "../statements.ts";
import { type Count, type JournalRecord, type OpenRecord, checkpointItem, recoveredItem } from "./records.ts";

export type Replayed = {
  /** Requests that the journal knew and the database did not, or knew less of. */
  settled: number;
  /** Of those, the ones that never came to their end. */
  recovered: number;
};

const MOST_A_STATEMENT = 500;

export async function replayJournal(store: Store, records: readonly string[]): Promise<Replayed> {
  const settles = new Map<string, SettleItem>();
  const opens = new Map<string, OpenRecord>();
  const counts = new Map<string, { count: Count; at: string }>();
  for (const text of records) {
    const record = JSON.parse(text) as JournalRecord;
    if (record.t === "settle") settles.set(record.item.request_id, record.item);
    else if (record.t === "open") opens.set(record.request_id, record);
    else
      for (const count of record.counts) {
        const known = counts.get(count[0]);
        if (known === undefined || known.count[1] < count[1]) counts.set(count[0], { count, at: record.at });
      }
  }

  // A hold that had reached the database before these files began: its counts go there, and the sweep settles it.
  const elsewhere: CheckpointItem[] = [];
  for (const [id, { count }] of counts) if (!opens.has(id) && !settles.has(id)) elsewhere.push(checkpointItem(count));
  for (const items of slices(elsewhere)) await checkpointHolds(store, 0, items);

  const recovered: SettleItem[] = [];
  for (const [id, open] of opens) {
    if (settles.has(id)) continue;
    const last = counts.get(id);
    recovered.push(recoveredItem(open, last?.count, last?.at ?? open.reserved_at));
  }
  let settled = 0;
  for (const items of slices([...settles.values()])) settled += (await settleItems(store, items)).size;
  let died = 0;
  for (const items of slices(recovered)) died += (await settleItems(store, items)).size;
  return { settled: settled + died, recovered: died };
}

function* slices<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += MOST_A_STATEMENT) yield items.slice(at, at + MOST_A_STATEMENT);
}
