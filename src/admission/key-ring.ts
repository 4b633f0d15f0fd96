/**
 * Knows who a key belongs to, mostly without asking the store: on the hot path one hash and two looks into maps.
 *
 * A key that this gateway knows keeps working while the database is away (for the grace time); one that it does not know is then
 * `store_unavailable`, never `unknown_key`: Claude Code gives up on a 401.
 */
import { hash as digestOf } from "node:crypto";
import { GatewayError } from "../conversation/errors.ts";
import { batcher } from "../db/batcher.ts";
import { isStoreAway } from "../db/store-error.ts";
import { withPatience } from "../db/with-patience.ts";
import { hashKey, isKey } from "./key-format.ts";
import type { KeyStore, Principal, StoredKey } from "./key-store.ts";

export type { Principal } from "./key-store.ts";

/** Times in milliseconds. */
export type KeyRingOptions = {
  /** Up to this age an answer is used as it is. */
  freshMs?: number;
  /** Up to this age it is used and refreshed behind it; beyond, the store is asked first. The bound on a revocation elsewhere. */
  staleMs?: number;
  /** How long a known key goes on while the store is away. */
  graceMs?: number;
  /** How long an unknown key is remembered as unknown. */
  unknownMs?: number;
  /** How long a request waits for the store before the grace time, or a 503, is used. */
  patienceMs?: number;
  /** Most keys, known and unknown each, that are held in memory. */
  capacity?: number;
  /** A clock that never goes back; only ages are taken from it. */
  now?: () => number;
};

export type KeyRing = {
  /**
   * Who the key belongs to: at once when it is known and recently checked, else after a look into the store. Throws, or
   * rejects with, GatewayError `unknown_key` (also: revoked, expired, tenant archived) or `store_unavailable`.
   */
  authenticate(secret: string): Principal | Promise<Principal>;
  /** Call after a key was revoked here: it is refused from now on, whatever is cached or on its way. */
  forget(keyId: string): void;
  /** Call after a key was changed here: the next request asks the store. */
  renew(keyId: string): void;
  /** Writes when keys were last used, about once a minute and at close. */
  close(): Promise<void>;
};

type Entry = StoredKey & { checkedAt: number; refreshing: boolean };

/** What the store knows a key by: its HMAC under the pepper, and the same as a map's key. */
type KeyHash = { hash: Buffer; id: string };

const MOST_A_LOOKUP = 500;
const TOUCH_EVERY_MS = 60_000;

export function createKeyRing(keys: KeyStore, pepper: Buffer, options: KeyRingOptions = {}): KeyRing {
  const {
    freshMs = 2_000,
    staleMs = 10_000,
    graceMs = 24 * 3_600_000,
    unknownMs = 5_000,
    patienceMs = 2_000,
    capacity = 20_000,
    now = () => performance.now(),
  } = options;
  const known = new Map<string, Entry>();
  /**
   * The HMACs of known keys by their plain SHA-256, which takes a fifth of the time. It says nothing of whether a key is still good: that
   * is always asked of `known`. Of a secret with 256 random bits a digest gives nothing away.
   */
  const hashes = new Map<string, KeyHash>();
  const unknownUntil = new Map<string, number>();
  const revoked = new Set<string>();
  let used = new Set<string>();
  const lookups = batcher((hashes: Buffer[]) => keys.find(hashes), MOST_A_LOOKUP);

  const lookUp = async (hash: Buffer, id: string): Promise<Entry | undefined> => {
    const stored = await lookups.add(hash);
    known.delete(id);
    if (stored === undefined || revoked.has(stored.principal.keyId)) {
      remember(unknownUntil, id, now() + unknownMs, capacity);
      return undefined;
    }
    const entry: Entry = { ...stored, checkedAt: now(), refreshing: false };
    // Entries are renewed in passing, so the first in the map is the one unused for longest.
    remember(known, id, entry, capacity);
    unknownUntil.delete(id);
    return entry;
  };

  const refresh = (entry: Entry, hash: Buffer, id: string): void => {
    entry.refreshing = true;
    lookUp(hash, id).catch(() => {
      entry.refreshing = false;
    });
  };

  const admit = (entry: Entry): Principal => {
    if (entry.expiresAt <= Date.now()) throw expiredKey(entry.expiresAt);
    used.add(entry.principal.keyId);
    return entry.principal;
  };

  const askStore = async (hash: Buffer, id: string, stale: Entry | undefined): Promise<Principal> => {
    let entry: Entry | undefined;
    try {
      entry = await withPatience(lookUp(hash, id), patienceMs);
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      if (stale === undefined || now() - stale.checkedAt > graceMs || revoked.has(stale.principal.keyId))
        throw new GatewayError(
          "store_unavailable",
          "the gateway's database is away, so this key cannot be checked now",
          {
            cause: error,
          },
        );
      entry = stale;
    }
    if (entry === undefined) throw unknownKey();
    return admit(entry);
  };

  const touch = async (): Promise<void> => {
    if (used.size === 0) return;
    const ids = [...used];
    used = new Set();
    await keys.touch(ids, new Date());
  };
  const timer = setInterval(() => void touch().catch(() => {}), TOUCH_EVERY_MS).unref();

  return {
    authenticate(secret) {
      const digest = digestOf("sha256", secret, "latin1");
      let found = hashes.get(digest);
      if (found === undefined) {
        if (!isKey("virtual", secret)) throw unknownKey();
        const hash = hashKey(pepper, secret);
        found = { hash, id: hash.toString("latin1") };
        // Only of known keys, so that guessed ones never push them out.
        if (known.has(found.id)) remember(hashes, digest, found, capacity);
      }
      const { hash, id } = found;
      const entry = known.get(id);
      if (entry === undefined) {
        const until = unknownUntil.get(id);
        if (until !== undefined && until > now()) throw unknownKey();
        return askStore(hash, id, undefined);
      }
      const age = now() - entry.checkedAt;
      if (age > staleMs) return askStore(hash, id, entry);
      if (age > freshMs && !entry.refreshing) refresh(entry, hash, id);
      return admit(entry);
    },
    forget(keyId) {
      revoked.add(keyId);
      for (const [id, entry] of known) {
        if (entry.principal.keyId !== keyId) continue;
        known.delete(id);
        remember(unknownUntil, id, Infinity, capacity);
      }
    },
    renew(keyId) {
      for (const [id, entry] of known) if (entry.principal.keyId === keyId) known.delete(id);
    },
    async close() {
      clearInterval(timer);
      await lookups.idle();
      await touch().catch(() => {});
    },
  };
}

/** One sentence for every way of not being a key, so that nobody learns which it was. */
function unknownKey(): GatewayError {
  return new GatewayError("unknown_key", "this key is not one of this gateway's, or it was revoked");
}

/** Whoever has the key itself may know. */
function expiredKey(at: number): GatewayError {
  const when = new Date(at).toISOString().slice(0, 16).replace("T", " ");
  return new GatewayError("unknown_key", `this key expired on ${when} UTC; ask for a new one`);
}

function remember<V>(map: Map<string, V>, id: string, value: V, capacity: number): void {
  if (map.size >= capacity && !map.has(id)) {
    const oldest = map.keys().next();
    if (!oldest.done) map.delete(oldest.value);
  }
  map.set(id, value);
}
