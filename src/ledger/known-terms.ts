/**
 * What this process knows of tenants' money without asking the database: the terms, prices and room of its last reservations.
 *
 * While that is fresh, it spares the asking where nothing can be refused. While the database is away, it is all there is: only postpaid
 * tenants are let in, and only as far as their limit and budgets had room when that was last heard. Each gateway knows its own part:
 * several that lose the database at once may each let in as much. See decisions/0074-without-the-database.md.
 */
import type { SpendCap } from "../conversation/spend-cap.ts";
import { least } from "./limits.ts";
import type { MoneyChange } from "./money-change.ts";
import { holdFor } from "./money.ts";
import type { Price, ReserveItem, ReserveResult } from "./statements.ts";

/** What is left in nano-USD (null: no limit), as heard in answer to what was asked then. */
type Room = { unspent: bigint | null; at: number };
type KnownKey = Room & { cap: SpendCap | undefined };
type KnownTenant = Room & { terms: "prepaid" | "postpaid"; accountId: number };

export type KnownTerms = {
  /** Takes in what the database has decided. `askedAt`: `performance.now()` before it was asked. */
  learn(item: ReserveItem, result: ReserveResult, askedAt: number): void;
  /** Somebody has changed prices, terms or budgets: what was heard of it is forgotten, and so is what was asked before and is answered later. */
  changed(what: MoneyChange): void;
  /** The terms for a request that nothing can refuse, known a moment ago; undefined: ask the database. */
  free(tenantId: string, keyId: string, model: string): AdmittedTerms | undefined;
  /** The terms for a request while the database is away; undefined: not known well enough, or no room. */
  admit(item: ReserveItem): AdmittedTerms | undefined;
  /** Takes more for a request that was let in. False: there is no room. `away`: whether the database still is; else it hears of it with the end. */
  take(tenantId: string, keyId: string, nano: bigint, away: boolean): boolean;
  /** The budget of this key that is spent furthest, as heard last; undefined: there is none, it is not known, or its period has ended. */
  cap(tenantId: string, keyId: string): SpendCap | undefined;
  /** Counts the times without the database: what is taken in one is given back in the same, or not at all. */
  readonly outage: number;
  /** Gives back what a request held and did not cost. `outage`: in which it was taken. */
  giveBack(tenantId: string, keyId: string, nano: bigint, outage: number): void;
  /** The database holds so much more for a request. */
  grew(tenantId: string, keyId: string, nano: bigint): void;
  /** The database is back: what was taken is in its books, or will be, and no longer left. */
  reset(): void;
};

export type AdmittedTerms = Pick<ReserveResult, "accountId" | "price" | "amount" | "unspent" | "reservedAt">;

/** How long a price, or the want of one, and the want of limits are taken for granted. A change takes effect after that at the latest. */
const FRESH_MS = 2_000;

/** A model's price and a key's terms are each a hundred bytes or so. */
const CAPACITY = 50_000;

/** Only answers that are on their way need them. */
const MOST_CHANGES = 1_000;

export function createKnownTerms(): KnownTerms {
  const tenants = new Map<string, KnownTenant>();
  /** What a key's own budgets leave. */
  const keys = new Map<string, KnownKey>();
  const prices = new Map<string, { price: Price | null; at: number }>();
  /** By tenant, and by tenant and key as in `keys`. */
  const taken = new Map<string, bigint>();
  let outage = 0;
  /** The database's clock less this machine's, in milliseconds: prices and periods go by the database's. */
  let clockOffset = 0;
  /** When what is known under a name was last changed: of a map here, or of all. */
  const changes = new Changes();

  const forget = (known: Map<string, unknown>, name: string): void => {
    changes.note(known, name);
    known.delete(name);
  };

  const now = (): Date => new Date(Date.now() + clockOffset);
  const unpriced = (): AdmittedTerms => ({
    accountId: null,
    price: null,
    amount: 0n,
    unspent: null,
    reservedAt: now(),
  });

  /** Whose room a request takes: its tenant's, which all keys share, and its key's own. */
  const sharers = (tenantId: string, keyId: string) => [tenantId, `${tenantId} ${keyId}`] as const;
  const roomOf = (who: string): Room | undefined => tenants.get(who) ?? keys.get(who);
  const lessen = (who: string, nano: bigint): void => {
    const room = roomOf(who);
    if (room !== undefined && room.unspent !== null) room.unspent -= nano;
  };

  const take = (tenantId: string, keyId: string, nano: bigint, away: boolean): boolean => {
    if (tenants.get(tenantId)?.terms !== "postpaid") return false;
    const sum = (who: string): bigint => (taken.get(who) ?? 0n) + nano;
    const fits = (who: string): boolean => {
      const room = roomOf(who);
      return room !== undefined && (room.unspent === null || sum(who) <= room.unspent);
    };
    const both = sharers(tenantId, keyId);
    if (!both.every(fits)) return false;
    for (const who of both)
      if (away) taken.set(who, sum(who));
      else lessen(who, nano);
    return true;
  };

  return {
    learn({ tenant_id, key_id, model }, { terms, accountId, price, tenantUnspent, keyUnspent, cap, reservedAt }, at) {
      clockOffset = reservedAt.getTime() - Date.now();
      if (terms === null) return;
      if (changes.allBefore(at, prices, model)) remember(prices, model, { price, at });
      if (!changes.allBefore(at, tenants, tenant_id)) return;
      // For a model without a price no limit was looked at.
      if (accountId !== null) {
        remember(tenants, tenant_id, { terms, accountId, unspent: tenantUnspent, at });
        const key = `${tenant_id} ${key_id}`;
        if (changes.allBefore(at, keys, key)) remember(keys, key, { unspent: keyUnspent, cap, at });
      } else if (tenants.get(tenant_id)?.terms !== terms) tenants.delete(tenant_id);
    },
    changed(what) {
      if ("model" in what) forget(prices, what.model);
      else if (what.keyId !== undefined) forget(keys, `${what.tenantId} ${what.keyId}`);
      else {
        forget(tenants, what.tenantId);
        // The budget that is spent furthest may be the tenant's.
        for (const key of keys.keys()) if (key.startsWith(`${what.tenantId} `)) keys.delete(key);
      }
    },
    free(tenantId, keyId, model) {
      const since = performance.now() - FRESH_MS;
      const known = prices.get(model);
      if (known === undefined || known.at < since) return undefined;
      const { price } = known;
      if (price === null) return unpriced();
      if (price.until !== null && price.until <= now()) return undefined;
      const tenant = tenants.get(tenantId);
      const key = keys.get(`${tenantId} ${keyId}`);
      if (tenant === undefined || key === undefined) return undefined;
      if (![tenant, key].every(({ unspent, at }) => unspent === null && at >= since)) return undefined;
      return { accountId: tenant.accountId, price, amount: 0n, unspent: null, reservedAt: now() };
    },
    admit(item) {
      const price = prices.get(item.model)?.price;
      if (price === null) return unpriced();
      if (price === undefined) return undefined;
      const amount = holdFor(price, item.input, item.output);
      if (!take(item.tenant_id, item.key_id, amount, true)) return undefined;
      const tenant = tenants.get(item.tenant_id) as KnownTenant;
      const unspent = least(tenant.unspent, keys.get(`${item.tenant_id} ${item.key_id}`)?.unspent ?? null);
      return { accountId: tenant.accountId, price, amount, unspent, reservedAt: now() };
    },
    take,
    cap(tenantId, keyId) {
      const cap = keys.get(`${tenantId} ${keyId}`)?.cap;
      return cap !== undefined && cap.resetsAt > now() ? cap : undefined;
    },
    get outage() {
      return outage;
    },
    giveBack(tenantId, keyId, nano, takenIn) {
      if (takenIn !== outage) return;
      for (const who of sharers(tenantId, keyId)) {
        const already = taken.get(who);
        if (already !== undefined) taken.set(who, already > nano ? already - nano : 0n);
      }
    },
    grew(tenantId, keyId, nano) {
      for (const who of sharers(tenantId, keyId)) lessen(who, nano);
    },
    reset() {
      // Until it says so itself: it may be away again before it is asked.
      for (const [who, nano] of taken) lessen(who, nano);
      taken.clear();
      outage++;
    },
  };
}

/** When what was changed last, of as much as there is room for; of what there is not, when anything was. */
class Changes {
  readonly #at = new Map<object, Map<string, number>>();
  #all = -Infinity;

  note(map: object, name: string): void {
    let times = this.#at.get(map);
    if (times === undefined) this.#at.set(map, (times = new Map()));
    if (times.size < MOST_CHANGES) times.set(name, performance.now());
    else {
      this.#all = performance.now();
      this.#at.clear();
    }
  }

  /** Whether its changes were all before that. */
  allBefore(at: number, map: object, name: string): boolean {
    return at >= this.#all && at >= (this.#at.get(map)?.get(name) ?? -Infinity);
  }
}

/** Unless something newer is known: answers overtake each other. */
function remember<T extends { at: number }>(map: Map<string, T>, name: string, heard: T): void {
  const known = map.get(name);
  if (known !== undefined && known.at > heard.at) return;
  if (known === undefined && map.size >= CAPACITY) map.clear();
  map.set(name, heard);
}
