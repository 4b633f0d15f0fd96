/**
 * Holds that stand ready for keys that are busy: a request that fits into one is let in at once, without asking the database. Each is an
 * ordinary hold of an ordinary reservation, and is replaced every second or two, with the price and the limits as they are then.
 *
 * Only where a tenant's limits have room for very many such requests: near a limit each request asks the database, as ever. See
 * decisions/0136-standing-holds.md.
 */
import type { MoneyChange } from "./money-change.ts";
import { type TokenPrices, dearestInput, holdFor } from "./money.ts";
import { whole } from "./settle-item.ts";
import { LIFE_MS, type Share, StandingHold } from "./standing-hold.ts";
import { newStandingId } from "./standing-id.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";

export type StandingHolds = {
  /** Undefined: ask the database. */
  take(item: ReserveItem): Share | undefined;
  /** The database has just held for such a request. */
  reserved(item: ReserveItem, result: ReserveResult): void;
  /** Nothing new is let in on what was heard before: of what was changed, or of anything. */
  changed(what?: MoneyChange): void;
  /** Frees what nobody needs of a tenant's. False: there was nothing. */
  makeRoom(tenantId: string): Promise<boolean>;
  /** Renews the leases of those that requests still have shares of. */
  renew(): void;
  close(): Promise<void>;
};

export type StandingHoldsParts = {
  /** Undefined: the database is away. */
  reserve: (item: ReserveItem) => Promise<ReserveResult | undefined>;
  release: (requestId: string) => Promise<void>;
  /** Renews the lease of a hold, for the n-th time. */
  renew: (requestId: string, checkpoint: number) => void;
  leaseMs: number;
  onProblem: (what: string, error: unknown) => void;
};

/** From then on its successor is asked for. */
const RENEWED_MS = 1_200;
/** Who comes again within this time is busy. */
const BUSY_MS = 2_000;
/** At least so many requests like the one that asked for it. */
const LEAST_REQUESTS = 4n;
/** All of a tenant's together take no more than this part of what is left. */
const PART = 64n;
const CAPACITY = 10_000;

/** A key with a model: what has one price and one set of limits. */
type Place = {
  tenantId: string;
  keyId: string;
  model: string;
  current: StandingHold | undefined;
  /** When the database last held for a request of it. */
  askedAt: number;
  /** The successor that is asked for; not to be used when `stale`. */
  asking: { stale: boolean } | undefined;
  /** nano-USD that the last one had to give. */
  used: bigint;
};

function nameOf({ tenant_id, key_id, model }: ReserveItem): string {
  return `${tenant_id} ${key_id} ${model}`;
}

export function createStandingHolds(parts: StandingHoldsParts): StandingHolds {
  const { leaseMs, onProblem } = parts;
  const places = new Map<string, Place>();
  /** All that are not released. */
  const standing = new Set<StandingHold>();
  const heldOf = new Map<string, bigint>();
  const asks = new Set<Promise<void>>();
  let closed = false;

  const count = (tenantId: string, nano: bigint): void => {
    const sum = (heldOf.get(tenantId) ?? 0n) + nano;
    if (sum === 0n) heldOf.delete(tenantId);
    else heldOf.set(tenantId, sum);
  };

  const release = (hold: StandingHold): Promise<void> =>
    (hold.released ??= parts
      .release(hold.item.request_id)
      // Its lease ends, and it is swept.
      .catch((error: unknown) => onProblem("a standing hold could not be freed", error))
      .finally(() => {
        standing.delete(hold);
        count(hold.item.tenant_id, -hold.amount);
      }));

  const retire = (place: Place): void => {
    const hold = place.current;
    if (hold === undefined) return;
    place.current = undefined;
    place.used = hold.most;
    hold.retired = true;
    if (hold.unused) void release(hold);
  };

  const forget = (place: Place): void => {
    retire(place);
    if (place.asking !== undefined) place.asking.stale = true;
  };

  const ask = async (place: Place, wanted: bigint, price: TokenPrices): Promise<void> => {
    const asking = (place.asking = { stale: false });
    const askedAt = performance.now();
    const item = standingItem(place, wanted, price);
    try {
      const result = await parts.reserve(item);
      if (result === undefined || result.refused !== null) return;
      const { price: now, unspent } = result;
      if (now === null || unspent === null) {
        // Without a price nothing was held, without limits nothing need be.
        await parts.release(item.request_id);
        return;
      }
      const hold = new StandingHold(item, { ...result, price: now, unspent }, askedAt, (idle) => void release(idle));
      standing.add(hold);
      count(place.tenantId, hold.amount);
      if (asking.stale || closed) {
        hold.retired = true;
        void release(hold);
        return;
      }
      retire(place);
      place.current = hold;
    } catch (error) {
      onProblem("a standing hold could not be made", error);
    } finally {
      if (place.asking === asking) place.asking = undefined;
    }
  };

  /** `amount`: what a request like those of this place holds. `unspent`: what the limits had left when they were last heard of. */
  const consider = (place: Place, amount: bigint, unspent: bigint, price: TokenPrices): void => {
    if (place.asking !== undefined || closed) return;
    const most = unspent / PART - (heldOf.get(place.tenantId) ?? 0n) + (place.current?.amount ?? 0n);
    const least = amount * LEAST_REQUESTS;
    if (least > most) return;
    const used = place.current?.most ?? place.used;
    const wanted = used * 2n > least ? used * 2n : least;
    const asked = ask(place, wanted < most ? wanted : most, price).finally(() => asks.delete(asked));
    asks.add(asked);
  };

  const placeOf = (item: ReserveItem): Place => {
    const name = nameOf(item);
    let place = places.get(name);
    if (place === undefined) {
      if (places.size >= CAPACITY) {
        for (const old of places.values()) forget(old);
        places.clear();
      }
      place = {
        tenantId: item.tenant_id,
        keyId: item.key_id,
        model: item.model,
        current: undefined,
        askedAt: -Infinity,
        asking: undefined,
        used: 0n,
      };
      places.set(name, place);
    }
    return place;
  };

  // One that nobody comes for any more is to be freed all the same.
  const timer = setInterval(() => {
    const until = performance.now() - LIFE_MS;
    for (const [name, place] of places) {
      if (place.current !== undefined && place.current.askedAt < until) retire(place);
      if (place.current === undefined && place.asking === undefined && place.askedAt < until) places.delete(name);
    }
  }, LIFE_MS / 4).unref();

  return {
    take(item) {
      const place = places.get(nameOf(item));
      const hold = place?.current;
      if (place === undefined || hold === undefined) return undefined;
      const now = hold.time();
      if (hold.isOver(now)) {
        retire(place);
        return undefined;
      }
      const { price, unspent } = hold.terms;
      const amount = holdFor(price, item.input, item.output);
      const share = hold.share(amount, now);
      if (share === undefined || performance.now() - hold.askedAt > RENEWED_MS || hold.left * 4n < hold.amount)
        consider(place, amount, unspent, price);
      return share;
    },
    reserved(item, { price, unspent, amount }) {
      if (price === null || unspent === null) return;
      const place = placeOf(item);
      const now = performance.now();
      const busy = now - place.askedAt < BUSY_MS;
      place.askedAt = now;
      if (busy && place.current === undefined) consider(place, amount, unspent, price);
    },
    changed(what) {
      for (const place of places.values()) {
        const concerned =
          what === undefined ||
          ("model" in what
            ? place.model === what.model
            : place.tenantId === what.tenantId && (what.keyId === undefined || what.keyId === place.keyId));
        if (!concerned) continue;
        forget(place);
        place.askedAt = -Infinity;
      }
    },
    async makeRoom(tenantId) {
      if (!heldOf.has(tenantId)) return false;
      for (const place of places.values()) if (place.tenantId === tenantId) retire(place);
      const freed: Promise<void>[] = [];
      for (const hold of standing) if (hold.item.tenant_id === tenantId && hold.unused) freed.push(release(hold));
      await Promise.all(freed);
      return freed.length > 0;
    },
    renew() {
      const now = performance.now();
      for (const hold of standing) {
        if (hold.inUse) {
          if (now - hold.renewedAt > leaseMs / 3) parts.renew(hold.item.request_id, hold.renewal());
        } else if (hold.retired && now - hold.renewedAt > leaseMs) {
          // A request of it could not be charged; the lease is over.
          void release(hold);
        }
      }
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await Promise.all(asks);
      for (const place of places.values()) retire(place);
      await Promise.all([...standing].flatMap((hold) => hold.released ?? []));
    },
  };
}

function standingItem({ tenantId, keyId, model }: Place, wanted: bigint, price: TokenPrices): ReserveItem {
  const input = dearestInput(price);
  const tokens = (pico: bigint): number => (pico === 0n ? 0 : whole(Number((wanted * 1000n) / pico)));
  return {
    request_id: newStandingId(),
    tenant_id: tenantId,
    key_id: keyId,
    model,
    input: price.output === 0n ? tokens(input) : 0,
    output: tokens(price.output),
    requested_model: model,
    wire: "standing",
    streamed: false,
    session: null,
    agent: null,
    started_at: new Date().toISOString(),
  };
}
