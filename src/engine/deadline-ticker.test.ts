import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DeadlineTicker, LARGEST_STEP_MS, TICK_MS } from "./deadline-ticker.ts";

describe("DeadlineTicker", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("tells every watched call the time, and stops when nobody is left", () => {
    const ticker = new DeadlineTicker();
    const seen: number[] = [];
    const call = { place: -1, checkDeadline: (now: number) => void seen.push(now) };
    ticker.watch(call);
    vi.advanceTimersByTime(10 * TICK_MS);
    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) * TICK_MS));
    ticker.unwatch(call);
    expect(vi.getTimerCount()).toBe(0);
    ticker.watch(call);
    vi.advanceTimersByTime(TICK_MS);
    expect(ticker.now).toBe(11 * TICK_MS);
  });

  it("does not count a stall of the process as an engine's silence", () => {
    const ticker = new DeadlineTicker();
    ticker.watch({ place: -1, checkDeadline() {} });
    vi.advanceTimersByTime(TICK_MS);
    const real = performance.now();
    const stalled = vi.spyOn(performance, "now").mockReturnValue(real + 3_600_000);
    vi.advanceTimersByTime(TICK_MS);
    stalled.mockRestore();
    expect(ticker.now).toBe(TICK_MS + LARGEST_STEP_MS);
  });

  it("lets a call leave while it is told", () => {
    const ticker = new DeadlineTicker();
    const calls = [1, 2].map(() => {
      const call = { place: -1, told: 0, checkDeadline: () => (call.told++, ticker.unwatch(call)) };
      ticker.watch(call);
      return call;
    });
    vi.advanceTimersByTime(5 * TICK_MS);
    expect(calls.map((call) => call.told)).toEqual([1, 1]);
  });
});
