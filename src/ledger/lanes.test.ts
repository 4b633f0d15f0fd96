import * as fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { inLanes } from "./lanes.ts";

/** Runs that end when they are told to. */
function heldRuns() {
  const runs: { items: number[]; end: (error?: Error) => void }[] = [];
  const run = (items: number[]): Promise<number[]> =>
    new Promise((resolve, reject) => {
      runs.push({ items, end: (error) => (error ? reject(error) : resolve(items.map((item) => item * 10))) });
    });
  return { runs, run };
}

afterEach(() => vi.useRealTimers());

const settle = () => new Promise((resolve) => setImmediate(resolve));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("lanes", () => {
  it("send the first item at once, and a second batch beside it only when enough have gathered", async () => {
    const { runs, run } = heldRuns();
    const lanes = inLanes(run, { most: 100, lanes: 2 });
    const results = upTo(16).map((item) => lanes.add(item));
    expect(runs.map(({ items }) => items.length)).toEqual([1]);
    results.push(lanes.add(16));
    expect(runs.map(({ items }) => items.length)).toEqual([1, 16]);
    // No third one, however many wait.
    results.push(...upTo(50).map((item) => lanes.add(17 + item)));
    expect(runs).toHaveLength(2);
    expect(lanes.size).toBe(67);
    runs[1]?.end();
    await settle();
    expect(runs.map(({ items }) => items.length)).toEqual([1, 16, 50]);
    runs[0]?.end();
    runs[2]?.end();
    expect(await Promise.all(results)).toEqual(upTo(67).map((item) => item * 10));
    await lanes.idle();
    expect(lanes.size).toBe(0);
  });

  it("pause between small batches while items come faster than batches go, and for one that comes alone never", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { runs, run } = heldRuns();
    const lanes = inLanes(run, { most: 100, lanes: 2, lingerMs: 5 });
    const sizes = () => runs.map(({ items }) => items.length);
    const results = upTo(3).map((item) => lanes.add(item));
    runs[0]?.end();
    await settle();
    results.push(lanes.add(3));
    expect(sizes()).toEqual([1]);
    vi.advanceTimersByTime(5);
    expect(sizes()).toEqual([1, 3]);
    // Enough of them do not wait for the end of the pause.
    results.push(lanes.add(4));
    runs[1]?.end();
    await settle();
    results.push(...upTo(15).map((item) => lanes.add(5 + item)));
    expect(sizes()).toEqual([1, 3, 16]);
    runs[2]?.end();
    await settle();
    results.push(lanes.add(20));
    expect(sizes()).toEqual([1, 3, 16, 1]);
    runs[3]?.end();
    expect(await Promise.all(results)).toEqual(upTo(21).map((item) => item * 10));
    await lanes.idle();
  });

  it("reject the items of a failed batch alone", async () => {
    const { runs, run } = heldRuns();
    const lanes = inLanes(run, { most: 100, lanes: 1 });
    const [first, second] = [lanes.add(1), lanes.add(2)];
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
          const lanes = inLanes(
            async (batch: number[]) => {
              expect(++running).toBeLessThanOrEqual(width);
              expect(batch.length).toBeLessThanOrEqual(most);
              await settle();
              running--;
              return batch.map((item) => item + 1);
            },
            { most, lanes: width },
          );
          expect(await Promise.all(items.map((item) => lanes.add(item)))).toEqual(items.map((item) => item + 1));
          await lanes.idle();
        },
      ),
    );
  });
});
