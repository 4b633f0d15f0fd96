/**
 * What this process knows of tenants' money without asking the database: the terms, prices and room of its last reservations.
 *
 * While that is fresh, it spares the asking where nothing can be refused. While the database is away, it is all there is: only postpaid
 * tenants are let in, and only as far as their limit and budgets had room when that was last heard. Each gateway knows its own part:
 * several that lose the database at once may each let in as much. See decisions/0074-without-the-database.md.
 */
import type { TokenPrices } from "./money.ts";
import { holdFor } from "./money.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";

type Price = TokenPrices & { id: number };
type KnownKey = { terms: "prepaid" | "postpaid"; accountId: number | null; unspent: bigint | null; at: number };

export type KnownTerms = {
  /** Takes in what the database has decided. `askedAt`: `performance.now()` before it was asked. */
  learn(item: ReserveItem, result: ReserveResult, askedAt: number): void;
  /** Somebody has changed prices, terms or budgets: what was asked before is not fresh. */
  changed(): void;
  /** The terms for a request that nothing can refuse, known a moment ago; undefined: ask the database. */
  free(tenantId: string, keyId: string, model: string): AdmittedTerms | undefined;
  /** The terms for a request while the database is away; undefined: not known well enough, or no room. */
  admit(item: ReserveItem): AdmittedTerms | undefined;
  /** Takes more for a request that was let in. False: there is no room. */
  take(tenantId: string, keyId: string, nano: bigint): boolean;
  /** Gives back what a request held and did not cost. */
  giveBack(tenantId: string, nano: bigint): void;
  /** The database is back: what was taken is in its books, or will be. */
  reset(): void;
};

export type AdmittedTerms = Pick<ReserveResult, "accountId" | "price" | "amount" | "unspent" | "reservedAt">;

/** How long a price, or the want of one, and the want of limits are taken for granted. A change takes effect after that at the latest. */
const FRESH_MS = 2_000;

/** A model's price and a key's terms are each a hundred bytes or so. */
const CAPACITY = 50_000;

/** `unlimitedIsFree`: whether a request of a tenant without limits needs no hold in the database, even if it costs something. */
export function createKnownTerms(unlimitedIsFree: boolean): KnownTerms {
  const keys = new Map<string, KnownKey>();
  const prices = new Map<string, { price: Price | null; at: number }>();
  const taken = new Map<string, bigint>();
  /** The database's clock less this machine's, in milliseconds: prices and periods go by the database's. */
  let clockOffset = 0;
  let changedAt = -Infinity;

  const now = (): Date => new Date(Date.now() + clockOffset);
  const unpriced = (): AdmittedTerms => ({
    accountId: null,
    price: null,
    amount: 0n,
    unspent: null,
    reservedAt: now(),
  });

  const take = (tenantId: string, keyId: string, nano: bigint): boolean => {
    const known = keys.get(`${tenantId} ${keyId}`);
    if (known?.terms !== "postpaid") return false;
    const already = taken.get(tenantId) ?? 0n;
    if (known.unspent !== null && already + nano > known.unspent) return false;
    taken.set(tenantId, already + nano);
    return true;
  };

  return {
    learn(item, { terms, accountId, price, unspent, reservedAt, refused }, at) {
      clockOffset = reservedAt.getTime() - Date.now();
      if (terms === null) return;
      const key = `${item.tenant_id} ${item.key_id}`;
      if (keys.size >= CAPACITY && !keys.has(key)) keys.clear();
      const left = refused === null ? unspent : 0n;
      // A model without a price does not say which account would pay for one that has.
      keys.set(key, { terms, accountId: accountId ?? keys.get(key)?.accountId ?? null, unspent: left, at });
      if (prices.size >= CAPACITY && !prices.has(item.model)) prices.clear();
      prices.set(item.model, { price, at });
    },
    changed() {
      changedAt = performance.now();
    },
    free(tenantId, keyId, model) {
      const known = prices.get(model);
      const since = Math.max(changedAt, performance.now() - FRESH_MS);
      if (known === undefined || known.at < since) return undefined;
      const { price } = known;
      if (price === null) return unpriced();
      if (!unlimitedIsFree) return undefined;
      const key = keys.get(`${tenantId} ${keyId}`);
      if (key === undefined || key.at < since || key.unspent !== null || key.accountId === null) return undefined;
      return { accountId: key.accountId, price, amount: 0n, unspent: null, reservedAt: now() };
    },
    admit(item) {
      const price = prices.get(item.model)?.price;
      if (price === null) return unpriced();
      const key = keys.get(`${item.tenant_id} ${item.key_id}`);
      if (price === undefined || key?.terms !== "postpaid" || key.accountId === null) return undefined;
      const amount = holdFor(price, item.input, item.output);
      if (!take(item.tenant_id, item.key_id, amount)) return undefined;
      return { accountId: key.accountId, price, amount, unspent: key.unspent, reservedAt: now() };
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
