import { expect, test } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { StoreError } from "../db/store-error.ts";
import { moneyChange } from "./admin-change.ts";

function told(error: Error): Promise<number> {
  let times = 0;
  const store = { db: { transaction: () => ({ execute: () => Promise.reject(error) }) } } as unknown as Store;
  const change = moneyChange({ store, onMoneyChanged: () => times++ }, () => Promise.resolve());
  return change.then(
    () => expect.unreachable("it failed"),
    () => times,
  );
}

test("the ledger is told of a change that may have been committed, and of none that was refused", async () => {
  expect(await told(new StoreError("unavailable", "the database is away"))).toBe(1);
  expect(await told(new GatewayError("not_found", "there is no such tenant"))).toBe(0);
});
