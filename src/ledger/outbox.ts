/** What other systems are to be told of: each settled request and each adjustment, once, until they say that they have it. */
import type { Store } from "../db/open-store.ts";

export type OutboxEntry = {
  id: bigint;
  requestId: string;
  kind: "usage" | "adjustment";
  /** nano-USD that it adds to the request's cost. */
  cost: bigint;
  at: Date;
};

/** Entries that were not acknowledged, by id. One that was committed late comes late, and may have a lower id than one read before. */
export async function readOutbox(store: Store, limit: number): Promise<OutboxEntry[]> {
  return store.db
    .selectFrom("export_outbox")
    .select(["id", "request_id as requestId", "kind", "cost", "at"])
    .orderBy("id")
    .limit(limit)
    .execute();
}

/** Forgets entries that have been told; returns how many. */
export async function acknowledgeOutbox(store: Store, ids: readonly bigint[]): Promise<number> {
  if (ids.length === 0) return 0;
  const { numDeletedRows } = await store.db
    .deleteFrom("export_outbox")
    .where("id", "in", [...ids])
    .executeTakeFirst();
  return Number(numDeletedRows);
}
