/**
 * What this process knows of tenants' money when the database is away: the terms, prices and room of its last reservations.
 *
 * Only postpaid tenants are let in, and only as far as their limit and budgets had room when that was last heard. Each gateway knows its own
 * part: several that lose the database at once may each let in as much. See decisions/0074-without-the-database.md.
 */
import type { TokenPrices } from "./money.ts";
import { holdFor } from "./money.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";

type Price = TokenPrices & { id: number };

export type KnownTerms = {
  /** Takes in what the database has just decided. */
  learn(item: ReserveItem, result: ReserveResult): void;
  /** The terms for a request now; undefined: not known well enough, or no room. */
  admit(
    item: ReserveItem,
  ): Pick<ReserveResult, "accountId" | "price" | "amount" | "unspent" | "reservedAt"> | undefined;
  /** Takes more for a request that was let in. False: there is no room. */
  take(tenantId: string, keyId: string, nano: bigint): boolean;
  /** Gives back what a request held and did not cost. */
  giveBack(tenantId: string, nano: bigint): void;
  /** The database is back: what was taken is in its books, or will be. */
  reset(): void;
};

/** A model's price and a key's terms are each a hundred bytes or so. */
const CAPACITY = 50_000;

export function createKnownTerms(): KnownTerms {
  const keys = new Map<string, { terms: "prepaid" | "postpaid"; accountId: number | null; unspent: bigint | null }>();
  const prices = new Map<string, Price | null>();
  const taken = new Map<string, bigint>();
  /** The database's clock less this machine's, in milliseconds: prices and periods go by the database's. */
  let clockOffset = 0;

  const take = (tenantId: string, keyId: string, nano: bigint): boolean => {
    const known = keys.get(`${tenantId} ${keyId}`);
    if (known === undefined) return false;
    const already = taken.get(tenantId) ?? 0n;
    if (known.unspent !== null && already + nano > known.unspent) return false;
    taken.set(tenantId, already + nano);
    return true;
  };

  return {
    learn(item, { terms, accountId, price, unspent, reservedAt, refused }) {
      clockOffset = reservedAt.getTime() - Date.now();
      if (terms === null) return;
      const key = `${item.tenant_id} ${item.key_id}`;
      if (keys.size >= CAPACITY && !keys.has(key)) keys.clear();
      const left = refused === null ? unspent : 0n;
      // A model without a price does not say which account would pay for one that has.
      keys.set(key, { terms, accountId: accountId ?? keys.get(key)?.accountId ?? null, unspent: left });
      if (prices.size >= CAPACITY && !prices.has(item.model)) prices.clear();
      prices.set(item.model, price);
    },
    admit(item) {
      const known = keys.get(`${item.tenant_id} ${item.key_id}`);
      const price = prices.get(item.model);
      if (known?.terms !== "postpaid" || price === undefined) return undefined;
      if (price !== null && known.accountId === null) return undefined;
      const amount = price === null ? 0n : holdFor(price, item.input, item.output);
      if (!take(item.tenant_id, item.key_id, amount)) return undefined;
      const accountId = price === null ? null : known.accountId;
      return { accountId, price, amount, unspent: known.unspent, reservedAt: new Date(Date.now() + clockOffset) };
    },
    take,
    giveBack(tenantId, nano) {
      const already = taken.get(tenantId);
      if (already !== undefined) taken.set(tenantId, already > nano ? already - nano : 0n);
    },
    reset() {
      taken.clear();
    },
  };
}
