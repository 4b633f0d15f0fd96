/** For tests of the statements that move money: a store of each kind with a priced model, and the items that go into the statements. */
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import type { Store } from "../../src/db/open-store.ts";
import { newRequestId } from "../../src/gateway/request-id.ts";
import { holdFor } from "../../src/ledger/money.ts";
import { type SettleItem, settleItem } from "../../src/ledger/settle-item.ts";
import {
  type CheckpointItem,
  type ReserveItem,
  type ReserveResult,
  reserveHolds,
} from "../../src/ledger/statements.ts";
import type { UsageRow } from "../../src/ledger/usage-row.ts";
import { PRICES, type Payer, addPrice, expectSound, rowOf } from "./money.ts";
import { STORE_KINDS, type TestStore } from "./stores.ts";

export const LEASE = 60_000;
export const OWNER = { owner: "test", leaseMs: LEASE };

/** What is held for `itemOf` a payer. */
export const HOLD = holdFor(PRICES, 1_000, 1_000);

export type Money = {
  readonly kind: Store["kind"];
  readonly store: Store;
  /** Reserves one item. */
  one(item: ReserveItem): Promise<ReserveResult>;
};

/** Describes what must hold on each kind of store that is there; after each test the ledger must be sound. */
export function onEachStore(describeMoney: (money: Money) => void): void {
  describe.each(STORE_KINDS.filter(({ skip }) => !skip))("money on $kind", ({ kind, open }) => {
    let test: TestStore;
    beforeAll(async () => {
      test = await open();
      await addPrice(test.store, "priced", PRICES, new Date("2020-01-01T00:00:00Z"));
    });
    afterEach(() => expectSound(test.store));
    afterAll(() => test.dispose());

    describeMoney({
      kind,
      get store() {
        return test.store;
      },
      one: async (item) => (await reserveHolds(test.store, OWNER, [item]))[0]!,
    });
  });
}

export function itemOf(payer: Payer, given: Partial<ReserveItem> = {}): ReserveItem {
  return {
    request_id: newRequestId(),
    tenant_id: payer.tenantId,
    key_id: payer.keyId,
    model: "priced",
    input: 1_000,
    output: 1_000,
    requested_model: "claude",
    wire: "test",
    streamed: true,
    session: "s-1",
    agent: null,
    started_at: new Date().toISOString(),
    ...given,
  };
}

export function endOf(
  item: ReserveItem,
  result: ReserveResult,
  given: Partial<UsageRow> = {},
  billed = true,
): SettleItem {
  const row = rowOf(
    { tenantId: item.tenant_id, keyId: item.key_id },
    { requestId: item.request_id, model: item.model, ...given },
  );
  const { accountId, reservedAt } = result;
  return settleItem(row, { accountId, priceId: result.price?.id ?? null, reservedAt }, { billed, cutBy: null });
}

export function countOf(item: ReserveItem, checkpoint: number, output: number, ahead = 0): CheckpointItem {
  return {
    request_id: item.request_id,
    checkpoint,
    input_uncached: 900,
    cache_read: 100,
    cache_write: 0,
    output,
    reasoning: 0,
    ahead,
  };
}
