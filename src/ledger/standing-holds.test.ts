import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { holdFor } from "./money.ts";
import { type StandingHolds, createStandingHolds } from "./standing-holds.ts";
import { isStanding } from "./standing-id.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";

/** A nano-USD a token. */
const PRICE = { id: 1, until: null, inputUncached: 1_000n, cacheRead: 1_000n, cacheWrite: 1_000n, output: 1_000n };

function item(output: number, given: Partial<ReserveItem> = {}): ReserveItem {
  return { request_id: "r", tenant_id: "t", key_id: "k", model: "m", input: 0, output, ...given } as ReserveItem;
}

let standing: StandingHolds;
let asked: ReserveItem[];
let released: string[];
let renewed: string[];
let unspent: bigint | null;
let until: Date | null;
let away: boolean;
/** Set: the database's answers wait for it. */
let gate: Promise<void> | undefined;

function result({ input, output }: ReserveItem, given: Partial<ReserveResult> = {}): ReserveResult {
  return {
    refused: null,
    terms: "prepaid",
    accountId: 7,
    price: { ...PRICE, until },
    amount: holdFor(PRICE, input, output),
    reservedAt: new Date(),
    unspent,
    tenantUnspent: unspent,
    keyUnspent: null,
    cap: undefined,
    ...given,
  };
}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 31, 12) });
  [asked, released, renewed] = [[], [], []];
  unspent = 1_000_000n;
  until = null;
  away = false;
  gate = undefined;
  standing = createStandingHolds({
    async reserve(wanted) {
      asked.push(wanted);
      await gate;
      return away ? undefined : result(wanted);
    },
    async release(id) {
      released.push(id);
    },
    renew: (id) => renewed.push(id),
    leaseMs: 15_000,
    onProblem: (what, error) => expect.unreachable(`${what}: ${String(error)}`),
  });
});
afterEach(async () => {
  await standing.close();
  vi.useRealTimers();
});

/** Two reservations in a row: the second asks for a standing hold. */
async function busy(one: ReserveItem): Promise<void> {
  for (let n = 0; n < 2; n++) standing.reserved(one, result(one));
  await vi.advanceTimersByTimeAsync(0);
}

test("is asked for where requests follow each other, for four like the last", async () => {
  standing.reserved(item(100), result(item(100)));
  await vi.advanceTimersByTimeAsync(3_000);
  standing.reserved(item(100), result(item(100)));
  expect(asked).toEqual([]);
  standing.reserved(item(100), result(item(100)));
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toMatchObject([{ tenant_id: "t", key_id: "k", model: "m", input: 0, output: 400 }]);
  expect(isStanding(asked[0]!.request_id)).toBe(true);
  expect(standing.take(item(0, { model: "other" }))).toBeUndefined();
  expect(standing.take(item(0, { key_id: "other" }))).toBeUndefined();
});

test.each([
  ["there are no limits", (): void => void (unspent = null)],
  ["limits leave less than 256 times the request", (): void => void (unspent = 25_599n)],
])("is not asked for where %s", async (_, given) => {
  given();
  await busy(item(100));
  expect(asked).toEqual([]);
});

test("is shared until it is used up, and what was not spent comes back", async () => {
  await busy(item(100));
  const shares = [100, 250].map((tokens) => standing.take(item(tokens))!);
  expect(shares[0]).toMatchObject({ terms: { accountId: 7, amount: 100n, unspent: 1_000_000n, price: PRICE } });
  expect(standing.take(item(51))).toBeUndefined();
  expect([150n, 151n].map((cost) => shares[0]!.covers(cost))).toEqual([true, false]);
  shares[0]!.spend(60n);
  expect(standing.take(item(91))).toBeUndefined();
  shares[1]!.leave();
  expect(standing.take(item(340))).toBeDefined();
});

test("is followed by one of twice what was used, and freed when its requests are charged", async () => {
  await busy(item(100));
  const shares = [1, 2, 3].map(() => standing.take(item(100))!);
  await vi.advanceTimersByTimeAsync(1_300);
  standing.take(item(100))!.leave();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.map(({ output }) => output)).toEqual([400, 800]);
  expect(standing.take(item(800))).toBeDefined();
  const charged = shares.map((share) => share.spend(10n));
  expect(released).toEqual([]);
  for (const done of charged) done();
  expect(released).toEqual([asked[0]!.request_id]);
});

test("takes at most a 64th of what a tenant has left, for all its keys together", async () => {
  unspent = 64_000n;
  await busy(item(100));
  await busy(item(100, { key_id: "second" }));
  await busy(item(100, { key_id: "third" }));
  await busy(item(100, { tenant_id: "somebody else" }));
  expect(asked.map(({ tenant_id, key_id, output }) => [tenant_id, key_id, output])).toEqual([
    ["t", "k", 400],
    ["t", "second", 400],
    ["somebody else", "k", 400],
  ]);
});

test("lets nobody in after two seconds, at the end of its price, or of the day", async () => {
  await busy(item(100));
  vi.setSystemTime(Date.now() + 3_600_000);
  expect(standing.take(item(1)), "after the machine slept").toBeUndefined();

  await busy(item(100));
  await vi.advanceTimersByTimeAsync(1_100);
  expect(standing.take(item(1))).toBeDefined();
  await vi.advanceTimersByTimeAsync(900);
  expect(standing.take(item(1))).toBeUndefined();

  until = new Date(Date.now() + 500);
  await busy(item(100, { key_id: "priced anew" }));
  const priced = () => standing.take(item(1, { key_id: "priced anew" }));
  expect(priced()).toBeDefined();
  await vi.advanceTimersByTimeAsync(500);
  expect(priced()).toBeUndefined();

  until = null;
  vi.setSystemTime(Date.UTC(2026, 0, 31, 23, 59, 59, 500));
  await busy(item(100, { key_id: "at midnight" }));
  const late = () => standing.take(item(1, { key_id: "at midnight" }));
  expect(late()!.terms.reservedAt.getUTCDate()).toBe(31);
  await vi.advanceTimersByTimeAsync(500);
  expect(late()).toBeUndefined();
});

test("is not used when it was asked for before a change and came behind it", async () => {
  let open = (): void => {};
  gate = new Promise((resolve) => (open = resolve));
  await busy(item(100));
  standing.changed({ tenantId: "t" });
  open();
  await vi.advanceTimersByTimeAsync(0);
  expect(standing.take(item(1))).toBeUndefined();
  expect(released).toEqual([asked[0]!.request_id]);
});

test.each([
  [undefined, false],
  [{ model: "m" }, false],
  [{ model: "other" }, true],
  [{ tenantId: "t" }, false],
  [{ tenantId: "other" }, true],
  [{ tenantId: "t", keyId: "k" }, false],
  [{ tenantId: "t", keyId: "other" }, true],
])("of a change of %j it is told", async (what, stays) => {
  await busy(item(100));
  standing.changed(what);
  expect(standing.take(item(1)) !== undefined).toBe(stays);
  expect(released.length).toBe(stays ? 0 : 1);
});

test("makes room of what is not in use", async () => {
  expect(await standing.makeRoom("t")).toBe(false);
  await busy(item(100));
  const share = standing.take(item(1))!;
  expect(await standing.makeRoom("t")).toBe(false);
  share.leave();
  expect(released).toEqual([asked[0]!.request_id]);
  await vi.advanceTimersByTimeAsync(0);
  expect(await standing.makeRoom("t")).toBe(false);
  await busy(item(100));
  expect(await standing.makeRoom("somebody else")).toBe(false);
  expect(await standing.makeRoom("t")).toBe(true);
});

test("keeps its lease while requests have shares of it, and no longer", async () => {
  await busy(item(100));
  const share = standing.take(item(1))!;
  await vi.advanceTimersByTimeAsync(4_900);
  standing.renew();
  expect(renewed).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  standing.renew();
  standing.renew();
  expect(renewed).toEqual([asked[0]!.request_id]);
  share.spend(1n);
  await vi.advanceTimersByTimeAsync(14_900);
  standing.renew();
  expect([renewed.length, released.length]).toEqual([1, 0]);
  // What it lent was never charged: it waits no longer than the database does.
  await vi.advanceTimersByTimeAsync(200);
  standing.renew();
  expect([renewed.length, released.length]).toEqual([1, 1]);
});

test("is not there while the database is away", async () => {
  away = true;
  await busy(item(100));
  expect(asked.length).toBe(1);
  expect(standing.take(item(1))).toBeUndefined();
  expect(released).toEqual([]);
});
