import { describe, expect, it } from "vitest";
import { Limits, least } from "./limits.ts";

const DAY_END = new Date("2026-11-29T00:00:00Z");
const MONTH_END = new Date("2026-12-01T00:00:00Z");

/** A tenant with account 7: a limit, a monthly budget of its own, and daily budgets of two of its keys. */
function limits({ account = 1_000n, spent = 500n } = {}): Limits {
  const all = new Limits();
  const row = { n: null, price_id: null } as const;
  const budget = { ...row, tenant_id: "t", spent, resets_at: DAY_END, period: "day" } as const;
  all.add({ ...row, budget_id: null, account_id: 7n, unspent: account });
  all.add({ ...budget, budget_id: 1n, key_id: "one", amount: 1_000n, unspent: 400n });
  all.add({ ...budget, budget_id: 2n, key_id: "two", amount: 2_000n, unspent: 1_500n });
  all.add({
    ...budget,
    budget_id: 3n,
    key_id: null,
    period: "month",
    amount: 2_000n,
    unspent: 1_100n,
    resets_at: MONTH_END,
  });
  return all;
}

describe("what is left", () => {
  it("is the least of the account's limit and of the budgets that the key has or shares", () => {
    expect(limits().of(7n, "t", "one")).toMatchObject({ tenantUnspent: 1_000n, keyUnspent: 400n });
    expect(limits().of(7n, "t", "two")).toMatchObject({ tenantUnspent: 1_000n, keyUnspent: 1_500n });
    expect(limits().of(7n, "t", "three")).toMatchObject({ tenantUnspent: 1_000n, keyUnspent: null });
    expect(limits({ account: 2_000n }).of(7n, "t", "one").tenantUnspent).toBe(1_100n);
    expect(limits({ account: -3n }).of(7n, "t", "one").tenantUnspent).toBe(-3n);
    expect([least(3n, 4n), least(4n, 3n), least(null, 3n), least(3n, null), least(null, null)]).toEqual([
      3n,
      3n,
      3n,
      3n,
      null,
    ]);
  });

  it("knows the budget that is spent furthest, and of several the one that lasts longest", () => {
    expect(limits().of(7n, "t", "one").cap).toMatchObject({ scope: "key", period: "day", limit: 1_000n, spent: 500n });
    expect(limits().of(7n, "t", "two").cap).toMatchObject({ scope: "tenant", period: "month", resetsAt: MONTH_END });
    expect(limits({ spent: 0n }).of(7n, "t", "one").cap).toMatchObject({ period: "month" });
  });

  it("is not limited by others' limits, nor by any where nothing can be charged", () => {
    expect(limits().of(8n, "other", "one")).toEqual({ tenantUnspent: null, keyUnspent: null, cap: undefined });
    expect(limits().of(null, "t", "one")).toEqual({ tenantUnspent: null, keyUnspent: null, cap: undefined });
  });

  it("compares budgets of nothing, too", () => {
    const all = limits();
    const row = { n: null, price_id: null, tenant_id: "t", period: "week", resets_at: DAY_END } as const;
    all.add({ ...row, budget_id: 4n, key_id: "one", amount: 0n, spent: 0n, unspent: 0n });
    expect(all.of(7n, "t", "one").cap).toMatchObject({ period: "week", limit: 0n });
    expect(all.budget(4n)).toMatchObject({ scope: "key", period: "week", limit: 0n });
  });
});
