import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createLive } from "./live.ts";
import { createScheduler } from "./scheduler.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("no more than max_num_seqs run; the others come in order of arrival", async () => {
  const scheduler = createScheduler(2, 0, "fcfs");
  const order: string[] = [];
  const admitted = ["a", "b", "c", "d"].map(async (name, index) => {
    if (await scheduler.admit(createLive(), -index)) order.push(name);
  });
  await Promise.all(admitted.slice(0, 2));
  expect([scheduler.running, scheduler.waiting, order]).toEqual([2, 2, ["a", "b"]]);
  scheduler.release();
  await admitted[2];
  expect([scheduler.running, scheduler.waiting, order]).toEqual([2, 1, ["a", "b", "c"]]);
  scheduler.release();
  scheduler.release();
  await admitted[3];
  expect([scheduler.running, scheduler.waiting, scheduler.peakRunning, order]).toEqual([1, 0, 2, ["a", "b", "c", "d"]]);
});

test("under the priority policy the lower number goes first, equal ones as they came", async () => {
  const scheduler = createScheduler(1, 0, "priority");
  await scheduler.admit(createLive(), 0);
  const order: number[] = [];
  const waits = [5, 1, 5, 0].map(async (priority, index) => {
    await scheduler.admit(createLive(), priority);
    order.push(index);
    scheduler.release();
  });
  scheduler.release();
  await Promise.all(waits);
  expect(order).toEqual([3, 1, 0, 2]);
});

test("who leaves while waiting is not admitted, and takes no place", async () => {
  const scheduler = createScheduler(1, 0, "fcfs");
  await scheduler.admit(createLive(), 0);
  const [gone, next] = [createLive(), createLive()];
  const [first, second] = [scheduler.admit(gone, 0), scheduler.admit(next, 0)];
  gone.end("client-gone");
  expect(await first).toBe(false);
  expect(scheduler.waiting).toBe(1);
  scheduler.release();
  expect(await second).toBe(true);
  expect(await scheduler.admit(gone, 0)).toBe(false);
  expect(scheduler.running).toBe(1);
});

test("prefills take their time one after another, and one that is left takes none", async () => {
  const scheduler = createScheduler(8, 1000, "fcfs");
  const done: string[] = [];
  const gone = createLive();
  const run = async (name: string, tokens: number, live = createLive()): Promise<void> => {
    done.push(`${name} ${await scheduler.prefill(live, tokens)}`);
  };
  const all = [run("a", 500), run("gone", 10_000, gone), run("b", 1000), run("cached", 0)];
  await vi.advanceTimersByTimeAsync(499);
  expect(done).toEqual(["cached true"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(done).toEqual(["cached true", "a true"]);
  await vi.advanceTimersByTimeAsync(300);
  gone.end("client-gone");
  await vi.advanceTimersByTimeAsync(1000);
  await Promise.all(all);
  expect(done).toEqual(["cached true", "a true", "gone false", "b true"]);
});
