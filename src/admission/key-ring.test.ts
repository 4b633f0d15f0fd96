import { afterEach, describe, expect, it } from "vitest";
import { StoreError } from "../db/store-error.ts";
import { hashKey, newKey } from "./key-format.ts";
import { type KeyRing, type KeyRingOptions, type Principal, createKeyRing } from "./key-ring.ts";
import type { KeyStore, StoredKey } from "./key-store.ts";

const PEPPER = Buffer.alloc(32, 7);
const ACME: Principal = { tenantId: "ten_1", tenant: "acme", keyId: "key_1", key: "laptop", models: null };
const rings: KeyRing[] = [];
afterEach(async () => {
  await Promise.all(rings.splice(0).map((ring) => ring.close()));
});

/** A store of keys that counts what it is asked, and can be away. */
function fakeStore() {
  const keys = new Map<string, StoredKey>();
  const state = { away: false, lookups: 0, touched: [] as string[], hold: Promise.resolve() };
  const store: KeyStore = {
    async find(hashes) {
      state.lookups++;
      await state.hold;
      if (state.away) throw new StoreError("unavailable", "away");
      return hashes.map((hash) => keys.get(hash.toString("hex")));
    },
    async touch(ids) {
      state.touched.push(...ids);
    },
  };
  const add = (principal = ACME, expiresAt = Infinity): string => {
    const secret = newKey("virtual");
    keys.set(hashKey(PEPPER, secret).toString("hex"), { principal, expiresAt });
    return secret;
  };
  const remove = (secret: string) => keys.delete(hashKey(PEPPER, secret).toString("hex"));
  return { store, state, add, remove };
}

function setUp(options: KeyRingOptions = {}) {
  const fake = fakeStore();
  const clock = { now: 1_000_000 };
  const ring = createKeyRing(fake.store, PEPPER, { now: () => clock.now, patienceMs: 20, ...options });
  rings.push(ring);
  return { ...fake, clock, ring };
}

const refused = expect.objectContaining({ code: "unknown_key" });
const unavailable = expect.objectContaining({ code: "store_unavailable" });
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("key ring", () => {
  it("asks the store the first time and answers at once from then on", async () => {
    const { ring, add, state } = setUp();
    const secret = add();
    expect(await ring.authenticate(secret)).toEqual(ACME);
    expect(ring.authenticate(secret)).toEqual(ACME);
    expect(state.lookups).toBe(1);
  });

  it("asks once for many requests that come together", async () => {
    const { ring, add, state } = setUp();
    const secret = add();
    await Promise.all(Array.from({ length: 100 }, async () => ring.authenticate(secret)));
    expect(state.lookups).toBeLessThanOrEqual(2);
  });

  it("never asks the store about what cannot be a key", () => {
    const { ring, state } = setUp();
    for (const text of ["", "sk-ant-123", "ev-", "' OR 1=1 --", "ev-admin-x", "x".repeat(100_000)])
      expect(() => ring.authenticate(text)).toThrow(refused);
    expect(state.lookups).toBe(0);
  });

  it("remembers an unknown key for a short time only", async () => {
    const { ring, state, clock } = setUp({ unknownMs: 5_000 });
    const secret = newKey("virtual");
    await expect(ring.authenticate(secret)).rejects.toEqual(refused);
    expect(() => ring.authenticate(secret)).toThrow(refused);
    expect(state.lookups).toBe(1);
    clock.now += 5_001;
    await expect(ring.authenticate(secret)).rejects.toEqual(refused);
    expect(state.lookups).toBe(2);
  });

  it("refreshes behind the request, then in front of it, so that a key revoked elsewhere ends", async () => {
    const { ring, add, remove, clock } = setUp({ freshMs: 2_000, staleMs: 10_000 });
    const used = add();
    const idle = add();
    await ring.authenticate(used);
    await ring.authenticate(idle);
    remove(used);
    remove(idle);
    clock.now += 2_001;
    expect(ring.authenticate(used)).toEqual(ACME);
    await settle();
    await settle();
    expect(() => ring.authenticate(used)).toThrow(refused);
    clock.now += 10_000;
    await expect(ring.authenticate(idle)).rejects.toEqual(refused);
  });

  it("refuses at once what was revoked here, also when a look-up from before is still on its way", async () => {
    const { ring, add, state } = setUp({ patienceMs: 1_000 });
    const secret = add();
    let release = () => {};
    state.hold = new Promise((resolve) => (release = resolve));
    const early = Promise.resolve(ring.authenticate(secret)).catch((error: unknown) => error);
    ring.forget(ACME.keyId);
    release();
    expect(await early).toEqual(refused);
    expect(() => ring.authenticate(secret)).toThrow(refused);
    state.away = true;
    expect(() => ring.authenticate(secret)).toThrow(refused);
  });

  it("lets known keys go on while the store is away, for the grace time", async () => {
    const { ring, add, state, clock } = setUp({ staleMs: 10_000, graceMs: 60_000 });
    const secret = add();
    await ring.authenticate(secret);
    state.away = true;
    for (let passed = 0; passed < 55_000; passed += 11_000) {
      clock.now += 11_000;
      expect(await ring.authenticate(secret)).toEqual(ACME);
    }
    clock.now += 11_000;
    await expect(ring.authenticate(secret)).rejects.toEqual(unavailable);
    state.away = false;
    expect(await ring.authenticate(secret)).toEqual(ACME);
  });

  it("answers a new key with 503, not 401, while the store is away, and does not remember it as unknown", async () => {
    const { ring, add, state } = setUp();
    const secret = add();
    state.away = true;
    await expect(ring.authenticate(secret)).rejects.toEqual(unavailable);
    state.away = false;
    expect(await ring.authenticate(secret)).toEqual(ACME);
  });

  it("does not wait long for a store that hangs", async () => {
    const { ring, add, state, clock } = setUp({ staleMs: 10_000 });
    const known = add();
    await ring.authenticate(known);
    state.hold = new Promise(() => {});
    clock.now += 10_001;
    expect(await ring.authenticate(known)).toEqual(ACME);
    await expect(ring.authenticate(add())).rejects.toEqual(unavailable);
    rings.length = 0;
  });

  it("refuses an expired key", async () => {
    const { ring, add } = setUp();
    const secret = add(ACME, Date.now() + 30);
    expect(await ring.authenticate(secret)).toEqual(ACME);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(() => ring.authenticate(secret)).toThrow(refused);
  });

  it("holds no more keys than it may, and drops the one unused for longest", async () => {
    const { ring, add, state, clock } = setUp({ capacity: 2, freshMs: 100 });
    const [a, b, c] = [add(), add(), add()];
    await ring.authenticate(a);
    await ring.authenticate(b);
    clock.now += 101;
    void ring.authenticate(a);
    await settle();
    await settle();
    await ring.authenticate(c);
    const before = state.lookups;
    expect(ring.authenticate(a)).toEqual(ACME);
    expect(ring.authenticate(c)).toEqual(ACME);
    expect(state.lookups).toBe(before);
    await ring.authenticate(b);
    expect(state.lookups).toBe(before + 1);
  });

  it("notes at its end which keys were used", async () => {
    const { ring, add, state } = setUp();
    await ring.authenticate(add());
    await ring.close();
    expect(state.touched).toEqual(["key_1"]);
  });
});
