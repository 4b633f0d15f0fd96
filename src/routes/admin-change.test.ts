import { expect, test } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { StoreError } from "../db/store-error.ts";
import { moneyChange } from "./admin-change.ts";

/** How often the ledger is told when the transaction fails with this, before the change or after it. */
function told(error: Error, when: "before" | "after"): Promise<number> {
  let times = 0;
  const execute = async (change: (trx: unknown) => Promise<unknown>): Promise<never> => {
    if (when === "after") await change({});
    throw error;
  };
  const store = { db: { transaction: () => ({ execute }) } } as unknown as Store;
  const change = moneyChange({ store, onMoneyChanged: () => times++ }, () =>
    Promise.resolve({ concerns: { model: "m" }, result: undefined }),
  );
  return change.then(
    () => expect.unreachable("it failed"),
    () => times,
  );
}

test("the ledger is told of a change that may have been committed, and of none that cannot have been", async () => {
  const away = new StoreError("unavailable", "the database is away");
  expect([await told(away, "after"), await told(away, "before")]).toEqual([1, 0]);
  expect(await told(new GatewayError("not_found", "there is no such tenant"), "after")).toBe(0);
});
