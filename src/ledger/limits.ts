/** What is left of the limits of a batch of reservations: of each account's own, and of the budgets that apply to each key. */
import { type SpendCap, isFurther } from "../conversation/spend-cap.ts";

/** An account's limit, or a budget; amounts in nano-USD. */
export type LimitRow = {
  n: null;
  price_id: null;
  /** Left beside all holds. */
  unspent: bigint;
} & (
  | { budget_id: null; account_id: bigint }
  | {
      budget_id: bigint;
      tenant_id: string;
      /** Null: the tenant's own, which all of its keys share. */
      key_id: string | null;
      period: SpendCap["period"];
      amount: bigint;
      spent: bigint;
      resets_at: Date;
    }
);

type Budget = { keyId: string | null; unspent: bigint; cap: SpendCap };
type Left = {
  /** The least of what the account's own limit and the budgets of the tenant leave, which all of its keys share; null: there are none. */
  tenantUnspent: bigint | null;
  /** The least of what the key's own budgets leave; null: there are none. */
  keyUnspent: bigint | null;
  /** The budget that is spent furthest (`isFurther`). Undefined: no budget applies. */
  cap: SpendCap | undefined;
};

export class Limits {
  readonly #accounts = new Map<bigint, bigint>();
  readonly #budgets = new Map<bigint, Budget>();
  readonly #byTenant = new Map<string, Budget[]>();
  readonly #left = new Map<string, Left>();

  add(row: LimitRow): void {
    if (row.budget_id === null) {
      this.#accounts.set(row.account_id, row.unspent);
      return;
    }
    const { tenant_id, key_id, unspent, period, amount, spent, resets_at } = row;
    const cap: SpendCap = {
      scope: key_id === null ? "tenant" : "key",
      period,
      limit: amount,
      spent,
      resetsAt: resets_at,
    };
    const budget = { keyId: key_id, unspent, cap };
    this.#budgets.set(row.budget_id, budget);
    const others = this.#byTenant.get(tenant_id);
    if (others === undefined) this.#byTenant.set(tenant_id, [budget]);
    else others.push(budget);
  }

  budget(id: bigint): SpendCap | undefined {
    return this.#budgets.get(id)?.cap;
  }

  /** `accountId` null: nothing can be charged, and no limit applies. To be asked when all rows are there. */
  of(accountId: bigint | null, tenantId: string, keyId: string): Left {
    if (accountId === null) return UNLIMITED;
    const who = `${tenantId} ${keyId}`;
    let left = this.#left.get(who);
    if (left === undefined) this.#left.set(who, (left = this.#find(accountId, tenantId, keyId)));
    return left;
  }

  #find(accountId: bigint, tenantId: string, keyId: string): Left {
    let tenantUnspent = this.#accounts.get(accountId) ?? null;
    let keyUnspent: bigint | null = null;
    let cap: SpendCap | undefined;
    for (const budget of this.#byTenant.get(tenantId) ?? []) {
      if (budget.keyId !== null && budget.keyId !== keyId) continue;
      if (budget.keyId === null) tenantUnspent = least(tenantUnspent, budget.unspent);
      else keyUnspent = least(keyUnspent, budget.unspent);
      if (cap === undefined || isFurther(budget.cap, cap)) cap = budget.cap;
    }
    return { tenantUnspent, keyUnspent, cap };
  }
}

const UNLIMITED: Left = { tenantUnspent: null, keyUnspent: null, cap: undefined };

/** The lesser of two amounts that are left; null is no limit. */
export function least(one: bigint | null, other: bigint | null): bigint | null {
  if (one === null) return other;
  return other === null || one < other ? one : other;
}
