import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StoreError } from "./store-error.ts";
import { Patience } from "./with-patience.ts";

describe("patience", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const never = new Promise<never>(() => {});

  it("gives what the work gives, and no timer is left", async () => {
    const patience = new Patience();
    const error = new Error("refused");
    await expect(patience.wait(Promise.resolve(7), 1_000)).resolves.toBe(7);
    await expect(patience.wait(Promise.reject(error), 1_000)).rejects.toBe(error);
    vi.advanceTimersByTime(50);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends, each at its own time, never early", async () => {
    const patience = new Patience();
    const ended: string[] = [];
    for (const ms of [100, 500, 0])
      patience.wait(never, ms).catch((error: StoreError) => ended.push(`${ms} ${error.code}`));
    vi.advanceTimersByTime(20);
    await Promise.resolve();
    expect(ended).toEqual(["0 unavailable"]);
    vi.advanceTimersByTime(79);
    await Promise.resolve();
    expect(ended).toHaveLength(1);
    vi.advanceTimersByTime(421);
    await Promise.resolve();
    expect(ended).toEqual(["0 unavailable", "100 unavailable", "500 unavailable"]);
  });

  it("can be taken from all at once", async () => {
    const patience = new Patience();
    const away = new StoreError("unavailable", "the database is away");
    const waits = [patience.wait(never, 1_000), patience.wait(never, 2_000)];
    patience.giveUp(away);
    for (const wait of waits) await expect(wait).rejects.toBe(away);
  });
});
