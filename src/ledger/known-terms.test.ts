import { expect, test } from "vitest";
import { type KnownTerms, createKnownTerms } from "./known-terms.ts";
import type { MoneyChange } from "./money-change.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";

const PRICE = { id: 1, until: null, inputUncached: 1_000n, cacheRead: 1_000n, cacheWrite: 1_000n, output: 1_000n };

/** Costs `output` nano-USD at PRICE. */
function item(output: number, given: Partial<ReserveItem> = {}): ReserveItem {
  return { tenant_id: "t", key_id: "k", model: "m", input: 0, output, ...given } as ReserveItem;
}

function heard(given: Partial<ReserveResult> = {}): ReserveResult {
  return {
    refused: null,
    terms: "postpaid",
    accountId: 7,
    price: PRICE,
    amount: 0n,
    reservedAt: new Date(),
    unspent: null,
    tenantUnspent: null,
    keyUnspent: null,
    cap: undefined,
    ...given,
  };
}

const UNPRICED = heard({ accountId: null, price: null });

function knowing(given: Partial<ReserveResult>): KnownTerms {
  const known = createKnownTerms();
  known.learn(item(0), heard(given), performance.now());
  return known;
}

test("a model without a price says nothing of limits, and of a tenant whose terms have changed", () => {
  const known = knowing({ tenantUnspent: 100n });
  known.learn(item(0, { model: "free" }), UNPRICED, performance.now());
  expect(known.free("t", "k", "m")).toBeUndefined();
  expect(known.free("t", "k", "free")).toMatchObject({ price: null });
  expect(known.admit(item(101))).toBeUndefined();
  expect(known.admit(item(100))).toMatchObject({ accountId: 7, amount: 100n, unspent: 100n });
  known.learn(item(0, { model: "free" }), { ...UNPRICED, terms: "prepaid" }, performance.now());
  expect(known.admit(item(0))).toBeUndefined();
  expect(known.admit(item(1, { model: "free" }))).toMatchObject({ price: null });
});

test("a key is let in as far as its own budgets and what it shares with others leave, as heard last of each", () => {
  const known = knowing({ tenantUnspent: 1_000n, keyUnspent: 50n });
  expect(known.admit(item(51))).toBeUndefined();
  known.learn(item(0, { key_id: "other" }), heard({ tenantUnspent: 40n, keyUnspent: 0n }), performance.now());
  expect(known.admit(item(41))).toBeUndefined();
  expect(known.admit(item(40))).toMatchObject({ unspent: 40n });
  expect(known.admit(item(0, { key_id: "unknown" }))).toBeUndefined();
});

test("an answer that was overtaken by a newer one, or by a change, is not believed", () => {
  const [before, later] = [performance.now() - 2, performance.now()];
  const known = createKnownTerms();
  known.learn(item(0), heard({ tenantUnspent: 10n }), later);
  known.learn(item(0), heard({ tenantUnspent: 99n, price: { ...PRICE, id: 2 } }), before);
  expect(known.admit(item(11))).toBeUndefined();
  expect(known.admit(item(10))).toMatchObject({ price: { id: 1 } });
  known.changed({ tenantId: "t" });
  expect(known.admit(item(0))).toBeUndefined();
  known.learn(item(0), heard(), later);
  expect(known.admit(item(0))).toBeUndefined();
  expect(known.free("t", "k", "m")).toBeUndefined();
});

test("what a hold in the database grew by is not left", () => {
  const known = knowing({ tenantUnspent: 100n, keyUnspent: 200n });
  known.grew("t", "k", 60n);
  expect(known.admit(item(41))).toBeUndefined();
  expect(known.admit(item(40))).toMatchObject({ unspent: 40n });
});

test.each<[string, Partial<ReserveResult>]>([
  ["the tenant's limit", { tenantUnspent: 100n }],
  ["a budget of the key's own", { keyUnspent: 100n }],
])(
  "what is taken of %s in one outage is not left in the next, and what it did not cost is given back in its own",
  (_what, left) => {
    const known = knowing(left);
    const take = (nano: bigint) => known.take("t", "k", nano, true);
    const first = known.outage;
    expect(take(70n)).toBe(true);
    known.giveBack("t", "k", 20n, first);
    expect(take(51n)).toBe(false);
    known.reset();
    expect(take(51n)).toBe(false);
    expect(take(50n)).toBe(true);
    known.giveBack("t", "k", 50n, first);
    expect(take(1n)).toBe(false);
    known.giveBack("t", "k", 50n, known.outage);
    expect(take(50n)).toBe(true);
  },
);

test("what one key takes is left of another key's own budget, and not of the tenant's", () => {
  const known = knowing({ tenantUnspent: 100n, keyUnspent: 60n });
  known.learn(item(0, { key_id: "other" }), heard({ tenantUnspent: 100n, keyUnspent: 60n }), performance.now());
  expect(known.take("t", "k", 60n, true)).toBe(true);
  expect(known.take("t", "other", 41n, true)).toBe(false);
  expect(known.take("t", "other", 40n, true)).toBe(true);
});

test("what a request takes once the database is back is not taken again in the next outage", () => {
  const known = knowing({ tenantUnspent: 1_000n });
  known.reset();
  expect(known.take("t", "k", 600n, false)).toBe(true);
  expect(known.take("t", "k", 401n, false)).toBe(false);
  // Charged meanwhile, and heard of.
  known.learn(item(0), heard({ tenantUnspent: 400n }), performance.now());
  expect(known.take("t", "k", 400n, true)).toBe(true);
});

test("the budget that is spent furthest is known until its period ends, something newer is heard, or somebody changes it", () => {
  const cap = {
    scope: "key",
    period: "day",
    limit: 100n,
    spent: 80n,
    resetsAt: new Date(Date.now() + 60_000),
  } as const;
  const known = knowing({ keyUnspent: 20n, cap });
  known.learn(item(0, { model: "free" }), UNPRICED, performance.now());
  expect([known.cap("t", "k"), known.cap("t", "other"), known.cap("other", "k")]).toEqual([cap, undefined, undefined]);
  known.learn(item(0), heard({ cap: { ...cap, resetsAt: new Date(Date.now() - 1) } }), performance.now());
  expect(known.cap("t", "k")).toBeUndefined();
  known.learn(item(0), heard({ cap }), performance.now());
  expect(known.cap("t", "k")).toEqual(cap);
  known.changed({ tenantId: "t" });
  expect(known.cap("t", "k")).toBeUndefined();
});

/** Two models, keys and tenants, all with room; what is let in after the change, and after what was asked before it is answered. */
test.each<[string, MoneyChange, string[]]>([
  ["a price", { model: "m" }, ["t k n", "t l n", "u k n"]],
  ["a tenant's terms, credit or budget", { tenantId: "t" }, ["u k m", "u k n"]],
  ["a key's own budget", { tenantId: "t", keyId: "k" }, ["t l m", "t l n", "u k m", "u k n"]],
])("%s: nothing else is forgotten, and no answer to what was asked before is believed", (_what, change, left) => {
  const known = createKnownTerms();
  const all = ["t k m", "t k n", "t l m", "t l n", "u k m", "u k n"].map((name) => name.split(" "));
  const before = performance.now();
  const learn = (at: number): void => {
    for (const [tenant_id, key_id, model] of all as [string, string, string][])
      known.learn(item(0, { tenant_id, key_id, model }), heard({ tenantUnspent: 9n, keyUnspent: 9n }), at);
  };
  const admitted = (): string[] =>
    (all as [string, string, string][])
      .filter(([tenant_id, key_id, model]) => known.admit(item(0, { tenant_id, key_id, model })) !== undefined)
      .map((names) => names.join(" "));
  learn(before);
  while (performance.now() === before);
  known.changed(change);
  expect(admitted()).toEqual(left);
  learn(before);
  expect(admitted()).toEqual(left);
  learn(performance.now());
  expect(admitted()).toHaveLength(all.length);
});

test("more changes than there is room for make older answers unbelievable, whatever they are about", () => {
  const known = createKnownTerms();
  const before = performance.now();
  while (performance.now() === before);
  for (let n = 0; n <= 1_000; n++) known.changed({ model: `model ${n}` });
  known.learn(item(0, { model: "model 0" }), heard(), before);
  expect(known.admit(item(0, { model: "model 0" }))).toBeUndefined();
  known.learn(item(0, { model: "model 0" }), heard(), performance.now());
  expect(known.admit(item(0, { model: "model 0" }))).toBeDefined();
});

test("asks again whether there are limits, where that was heard too long ago, though the price was heard just now", () => {
  const known = createKnownTerms();
  const now = performance.now();
  known.learn(item(0), heard(), now - 60_000);
  known.learn(item(0, { tenant_id: "other" }), heard(), now);
  expect(known.free("other", "k", "m")).toMatchObject({ price: PRICE });
  expect(known.free("t", "k", "m")).toBeUndefined();
});
