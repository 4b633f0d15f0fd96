import * as fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { batcher } from "./batcher.ts";

/** Runs that end when they are told to. */
function heldRuns() {
  const runs: { items: number[]; end: (error?: Error) => void }[] = [];
  const run = (items: number[]): Promise<number[]> =>
    new Promise((resolve, reject) => {
      runs.push({ items, end: (error) => (error ? reject(error) : resolve(items.map((item) => item * 10))) });
    });
  return { runs, run };
}

/** Until all that was added in this turn of the event loop, and what results of it add, has left as far as it may. */
const settle = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
};

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("batcher", () => {
  it("sends together what comes in one turn, and gathers what comes while it is on its way", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10);
    const results = [1, 2].map((item) => batches.add(item));
    expect(runs).toEqual([]);
    await settle();
    expect(runs.map(({ items }) => items)).toEqual([[1, 2]]);
    results.push(...[3, 4].map((item) => batches.add(item)));
    await settle();
    results.push(batches.add(5));
    await settle();
    expect(runs.map(({ items }) => items)).toEqual([[1, 2]]);
    expect(batches.size).toBe(5);
    runs[0]?.end();
    await settle();
    expect(runs.map(({ items }) => items)).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
    runs[1]?.end();
    expect(await Promise.all(results)).toEqual([10, 20, 30, 40, 50]);
    await batches.idle();
    expect(batches.size).toBe(0);
  });

  it("sends at once again after it was idle", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10);
    for (const item of [1, 2]) {
      const result = batches.add(item);
      await settle();
      expect(runs).toHaveLength(item);
      runs.at(-1)?.end();
      expect(await result).toBe(item * 10);
      await batches.idle();
    }
  });

  it("rejects the items of a failed batch and goes on with the next", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 1);
    const first = batches.add(1);
    const second = batches.add(2);
    await settle();
    runs[0]?.end(new Error("no"));
    await expect(first).rejects.toThrow("no");
    await settle();
    runs[1]?.end();
    expect(await second).toBe(20);
  });

  it("pauses between batches where that is wished, but never before a lone item", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10, { lingerMs: 30 });
    const results = [batches.add(1)];
    await settle();
    results.push(batches.add(2));
    await settle();
    expect(runs.map(({ items }) => items)).toEqual([[1]]);
    runs[0]?.end();
    await settle();
    results.push(batches.add(3));
    await expect.poll(() => runs.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    runs[1]?.end();
    expect(await Promise.all(results)).toEqual([10, 20, 30]);
    await batches.idle();
    void batches.add(4);
    await settle();
    expect(runs.map(({ items }) => items)).toEqual([[1], [2, 3], [4]]);
    runs[2]?.end();
  });

  it("gives every item its own result, in batches no larger than allowed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat()), fc.integer({ min: 1, max: 7 }), async (items, most) => {
        const sizes: number[] = [];
        const batches = batcher(async (batch: number[]) => {
          sizes.push(batch.length);
          await settle();
          return batch.map((item) => item + 1);
        }, most);
        expect(await Promise.all(items.map((item) => batches.add(item)))).toEqual(items.map((item) => item + 1));
        expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(most);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(items.length);
      }),
    );
  });
});

describe("lanes", () => {
  it("send a second batch beside another only when enough have gathered", async () => {
    const { runs, run } = heldRuns();
    const lanes = batcher(run, 100, { lanes: 2, enough: 16 });
    const sizes = () => runs.map(({ items }) => items.length);
    const results = [lanes.add(0)];
    await settle();
    results.push(...upTo(15).map((item) => lanes.add(1 + item)));
    await settle();
    expect(sizes()).toEqual([1]);
    results.push(lanes.add(16));
    await settle();
    expect(sizes()).toEqual([1, 16]);
    // No third one, however many wait.
    results.push(...upTo(50).map((item) => lanes.add(17 + item)));
    await settle();
    expect(runs).toHaveLength(2);
    expect(lanes.size).toBe(67);
    runs[1]?.end();
    await settle();
    expect(sizes()).toEqual([1, 16, 50]);
    runs[0]?.end();
    runs[2]?.end();
    expect(await Promise.all(results)).toEqual(upTo(67).map((item) => item * 10));
    await lanes.idle();
    expect(lanes.size).toBe(0);
  });

  it("share what comes together, as far as there is enough for each", async () => {
    for (const [count, expected] of [
      [31, [31]],
      [32, [16, 16]],
      [64, [32, 32]],
      [250, [100, 100]],
    ] as const) {
      const { runs, run } = heldRuns();
      const lanes = batcher(run, 100, { lanes: 2, enough: 16 });
      for (const item of upTo(count)) void lanes.add(item);
      await settle();
      expect(runs.map(({ items }) => items.length)).toEqual(expected);
    }
  });

  it("pause between small batches while items come faster than batches go, and for one that comes alone never", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { runs, run } = heldRuns();
    const lanes = batcher(run, 100, { lanes: 2, enough: 16, lingerMs: 5 });
    const sizes = () => runs.map(({ items }) => items.length);
    const results = [lanes.add(0)];
    await settle();
    results.push(lanes.add(1), lanes.add(2));
    await settle();
    runs[0]?.end();
    await settle();
    results.push(lanes.add(3));
    await settle();
    expect(sizes()).toEqual([1]);
    vi.advanceTimersByTime(5);
    expect(sizes()).toEqual([1, 3]);
    // Enough of them do not wait for the end of the pause.
    results.push(lanes.add(4));
    await settle();
    runs[1]?.end();
    await settle();
    results.push(...upTo(15).map((item) => lanes.add(5 + item)));
    await settle();
    expect(sizes()).toEqual([1, 3, 16]);
    runs[2]?.end();
    await lanes.idle();
    // Long after the others it is alone.
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 60);
    results.push(lanes.add(20));
    await settle();
    expect(sizes()).toEqual([1, 3, 16, 1]);
    runs[3]?.end();
    expect(await Promise.all(results)).toEqual(upTo(21).map((item) => item * 10));
    await lanes.idle();
  });

  it("let the first of a dozen wait for the others, right behind another dozen", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { runs, run } = heldRuns();
    const lanes = batcher(run, 100, { lanes: 2, enough: 16, lingerMs: 5 });
    const sizes = () => runs.map(({ items }) => items.length);
    for (const item of upTo(12)) void lanes.add(item);
    await settle();
    runs[0]?.end();
    await lanes.idle();
    void lanes.add(12);
    await settle();
    for (const item of upTo(10)) void lanes.add(13 + item);
    await settle();
    expect(sizes()).toEqual([12]);
    void lanes.add(23);
    await settle();
    expect(sizes()).toEqual([12, 12]);
    runs[1]?.end();
    await lanes.idle();
    void lanes.add(24);
    await settle();
    expect(sizes()).toEqual([12, 12]);
    vi.advanceTimersByTime(5);
    expect(sizes()).toEqual([12, 12, 1]);
    runs[2]?.end();
    await lanes.idle();
    // Now one came alone.
    void lanes.add(25);
    await settle();
    expect(sizes()).toEqual([12, 12, 1, 1]);
    runs[3]?.end();
  });

  it("reject the items of a failed batch alone", async () => {
    const { runs, run } = heldRuns();
    const lanes = batcher(run, 100, { lanes: 2, enough: 1 });
    const [first, second] = [lanes.add(1), lanes.add(2)];
    await settle();
    runs[0]?.end(new Error("no"));
    await expect(first).rejects.toThrow("no");
    runs[1]?.end();
    expect(await second).toBe(20);
  });

  it("give every item its own result, in batches no larger and no more than allowed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { maxLength: 200 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (items, most, width) => {
          let running = 0;
          const lanes = batcher(
            async (batch: number[]) => {
              expect(++running).toBeLessThanOrEqual(width);
              expect(batch.length).toBeLessThanOrEqual(most);
              await settle();
              running--;
              return batch.map((item) => item + 1);
            },
            most,
            { lanes: width },
          );
          expect(await Promise.all(items.map((item) => lanes.add(item)))).toEqual(items.map((item) => item + 1));
          await lanes.idle();
        },
      ),
    );
  });
});
