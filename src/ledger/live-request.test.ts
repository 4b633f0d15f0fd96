import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SpendCap } from "../conversation/spend-cap.ts";
import type { Usage } from "../conversation/usage.ts";
import { LiveRequest } from "./live-request.ts";
import { costOf, holdFor } from "./money.ts";
import type { CheckpointItem, ReserveResult } from "./statements.ts";

const PRICE = {
  id: 1,
  until: null,
  inputUncached: 3_000_000n,
  cacheRead: 300_000n,
  cacheWrite: 3_000_000n,
  output: 15_000_000n,
};

const NOTHING: Usage = { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

/** A request for 100 tokens of prompt, held for so much output, whose limit pays for `room` tokens of output in all. */
function running({ held = 1_000, room = Infinity, maxOutput = 30_000 }) {
  const counts = {
    prompt: 100,
    output: 0,
    get usage(): Usage {
      return { inputUncached: 100, cacheRead: 0, cacheWrite: 0, output: this.output, reasoning: 0 };
    },
  };
  const asks: CheckpointItem[] = [];
  let cuts = 0;
  const live = new LiveRequest({
    heldBy: "store",
    item: {
      request_id: "req_1",
      tenant_id: "t",
      key_id: "k",
      model: "m",
      input: 100,
      output: held,
      requested_model: "m",
      wire: "w",
      streamed: true,
      session: null,
      agent: null,
      started_at: "",
    },
    terms: { accountId: 1, price: PRICE, amount: holdFor(PRICE, 100, held), unspent: 1n, reservedAt: new Date() },
    counts,
    maxOutput,
    graceMs: 60_000,
    extend: (request) => asks.push(request.checkpoint()),
    onExhausted: () => cuts++,
  });
  const limit = Number.isFinite(room) ? holdFor(PRICE, 100, room) : 10n ** 18n;
  /** As the database answers. */
  const answer = (item: CheckpointItem): void => {
    const wanted = costOf(PRICE, { ...counts.usage, output: item.output + item.ahead });
    const fits = wanted <= limit || wanted <= live.amount;
    live.checked({
      amount: fits && wanted > live.amount ? wanted : live.amount,
      refused: fits ? null : "tenant day budget",
    });
  };
  return {
    live,
    counts,
    asks,
    answer,
    limit,
    get cuts() {
      return cuts;
    },
  };
}

describe("a request in flight", () => {
  it("asks for nothing while its hold is ample, once when it runs low, and not twice at a time", () => {
    const { live, counts, asks, answer } = running({ held: 1_000 });
    for (counts.output = 0; counts.output < 700; counts.output++) live.progress();
    expect(asks).toHaveLength(0);
    for (; counts.output < 900; counts.output++) live.progress();
    expect(asks).toHaveLength(1);
    answer(asks[0]!);
    live.progress();
    expect(asks).toHaveLength(1);
  });

  it("asks for nothing when its hold pays for all that may come", () => {
    const { live, counts, asks } = running({ held: 500, maxOutput: 500 });
    for (counts.output = 0; counts.output <= 500; counts.output++) live.progress();
    expect(asks).toHaveLength(0);
  });

  describe("that was let in on a standing hold", () => {
    const standing = (result: Partial<ReserveResult> | undefined) => {
      const counts = { prompt: 100, output: 0, usage: { ...NOTHING, inputUncached: 100 } };
      const ended: string[] = [];
      const { item, terms } = running({ held: 100 }).live;
      const live: LiveRequest = new LiveRequest({
        heldBy: "standing",
        item,
        terms,
        counts,
        maxOutput: 1_000,
        graceMs: 60_000,
        extend: (request) => void request.own(),
        own: async () => (result === undefined ? undefined : ({ refused: null, ...result } as ReserveResult)),
        onExhausted: () => ended.push(live.refusedBy ?? "nothing"),
      });
      live.place = 0;
      return { live, counts, ended };
    };

    it("has a hold of its own from the moment in which its share runs low", async () => {
      const { live, counts, ended } = standing({ amount: holdFor(PRICE, 100, 500) });
      counts.output = 50;
      live.progress();
      const { owning } = live;
      expect([live.heldBy, live.unowned]).toEqual(["standing", true]);
      live.progress();
      expect(live.owning).toBe(owning);
      await owning;
      expect([live.heldBy, live.unowned, live.owning]).toEqual(["store", false, undefined]);
      counts.output = 300;
      live.progress();
      expect(ended).toEqual([]);
    });

    it("ends with its share where there is no more, and says which limit it was", async () => {
      const cap = { scope: "key", period: "week" } as SpendCap;
      for (const [refused, said] of [
        [{ refused: "account" as const }, "account"],
        [{ refused: "budget" as const, cap }, "key week budget"],
      ] as const) {
        const { live, counts, ended } = standing(refused);
        counts.output = 50;
        live.progress();
        await live.owning;
        expect([live.heldBy, ended]).toEqual(["standing", []]);
        counts.output = 99;
        live.progress();
        expect(ended).toEqual([said]);
      }
    });

    it("goes on by what is known when the database cannot be asked", async () => {
      const { live } = standing(undefined);
      await live.own();
      expect([live.heldBy, live.unowned]).toEqual(["known", false]);
    });
  });

  it("never counts beyond what the database takes", () => {
    const { live, counts } = running({});
    Object.defineProperty(counts, "usage", {
      value: { inputUncached: 9e11, cacheRead: 2 ** 31, cacheWrite: 9e15, output: 9e11, reasoning: 1e12 },
    });
    const most = 2_147_483_647;
    expect(live.count()).toMatchObject({
      input_uncached: most,
      cache_read: most,
      cache_write: most,
      output: most,
      reasoning: most,
    });
  });

  it("is never ended while its limit has room, nor paid beyond its limit, in any steps and with any delay", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 20_000 }),
        fc.integer({ min: 64, max: 3_000 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 50, maxLength: 50 }),
        fc.integer({ min: 0, max: 2 }),
        (room, held, steps, delay) => {
          const stream = running({ held: Math.min(held, room), room });
          const { live, counts, asks, answer } = stream;
          let answered = 0;
          for (let n = 0; stream.cuts === 0 && counts.output < room * 2; n++) {
            counts.output += steps[n % steps.length]!;
            live.progress();
            // The database answers some reads later.
            while (answered < asks.length && n % (delay + 1) === 0) answer(asks[answered++]!);
          }
          expect(stream.cuts).toBe(1);
          expect(live.refusedBy).toBe("tenant day budget");
          expect(costOf(PRICE, counts.usage)).toBeLessThanOrEqual(stream.limit);
          expect(room - counts.output).toBeLessThanOrEqual(200);
          // Asking is for when a hold runs low, not for every read.
          expect(asks.length).toBeLessThan(30 + room / 100);
        },
      ),
    );
  });

  it("goes on when a regular checkpoint finds room again", () => {
    const stream = running({ held: 500, room: 500 });
    const { live, counts, asks, answer } = stream;
    counts.output = 400;
    live.progress();
    while (asks.length > 0) answer(asks.shift()!);
    expect(live.refusedBy).toBe("tenant day budget");
    live.checkpoint();
    live.checked({ amount: live.amount + 15_000_000n, refused: null });
    expect(live.refusedBy).toBeNull();
    counts.output = 600;
    live.progress();
    expect(stream.cuts).toBe(0);
  });

  it("asks once more for a hold that was not found, which may only have known a later count", () => {
    const stream = running({ held: 500 });
    const { live, counts, asks, answer } = stream;
    counts.output = 400;
    live.progress();
    live.count();
    live.checked(undefined);
    expect([asks.length, live.refusedBy]).toEqual([2, null]);
    expect(asks[1]!.checkpoint).toBeGreaterThan(asks[0]!.checkpoint + 1);
    expect(asks[1]!.ahead).toBe(asks[0]!.ahead);
    answer(asks[1]!);
    counts.output = 500;
    live.progress();
    expect([live.refusedBy, stream.cuts]).toEqual([null, 0]);
  });

  it("ends at its hold when that is gone", () => {
    const stream = running({ held: 500 });
    const { live, counts, asks } = stream;
    counts.output = 480;
    live.progress();
    live.checked(undefined);
    live.checked(undefined);
    expect([asks.length, live.refusedBy, stream.cuts]).toEqual([2, "lost reservation", 1]);
    const regular = running({ held: 500 });
    regular.live.checkpoint();
    regular.live.checked(undefined);
    expect(regular.asks).toMatchObject([{ ahead: 0 }]);
  });

  it("ends at its hold when the database is away, and only once", () => {
    const stream = running({ held: 500 });
    const { live, counts, asks } = stream;
    counts.output = 400;
    live.progress();
    expect(asks).toHaveLength(1);
    live.failed("database away");
    expect(stream.cuts).toBe(0);
    counts.output = 480;
    live.progress();
    live.progress();
    expect(stream.cuts).toBe(1);
    live.checked({ amount: live.amount * 2n, refused: null });
    expect(live.refusedBy).toBe("database away");
  });

  it("knows what its hold lacks for what it counts and asks for, and what of it is left", () => {
    const { live, counts } = running({ held: 500 });
    counts.output = 400;
    expect(live.missing({ ...live.count(), ahead: 200 })).toBe(100n * 15_000n);
    expect(live.missing({ ...live.count(), ahead: 0 })).toBe(-100n * 15_000n);
    expect([live.unused(counts.usage), live.exceededBy(counts.usage)]).toEqual([100n * 15_000n, false]);
    counts.output = 500;
    expect([live.unused(counts.usage), live.exceededBy(counts.usage)]).toEqual([0n, false]);
    counts.output = 501;
    expect([live.unused(counts.usage), live.exceededBy(counts.usage)]).toEqual([0n, true]);
  });
});
