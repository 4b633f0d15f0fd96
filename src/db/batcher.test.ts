import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
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

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("batcher", () => {
  it("sends the first item at once and gathers the others while it is on its way", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10);
    const results = [1, 2, 3].map((item) => batches.add(item));
    expect(runs.map(({ items }) => items)).toEqual([[1]]);
    expect(batches.size).toBe(3);
    runs[0]?.end();
    await settle();
    expect(runs.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    runs[1]?.end();
    expect(await Promise.all(results)).toEqual([10, 20, 30]);
    await batches.idle();
    expect(batches.size).toBe(0);
  });

  it("sends at once again after it was idle", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10);
    for (const item of [1, 2]) {
      const result = batches.add(item);
      expect(runs).toHaveLength(item);
      runs.at(-1)?.end();
      expect(await result).toBe(item * 10);
      await batches.idle();
    }
  });

  it("rejects the items of a failed batch and goes on with the next", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10);
    const first = batches.add(1);
    const second = batches.add(2);
    runs[0]?.end(new Error("no"));
    await expect(first).rejects.toThrow("no");
    await settle();
    runs[1]?.end();
    expect(await second).toBe(20);
  });

  it("pauses between batches where that is wished, but never before a lone item", async () => {
    const { runs, run } = heldRuns();
    const batches = batcher(run, 10, { lingerMs: 30 });
    const results = [1, 2].map((item) => batches.add(item));
    expect(runs.map(({ items }) => items)).toEqual([[1]]);
    runs[0]?.end();
    await settle();
    results.push(batches.add(3));
    await expect.poll(() => runs.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    runs[1]?.end();
    expect(await Promise.all(results)).toEqual([10, 20, 30]);
    await batches.idle();
    void batches.add(4);
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
