import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Refusal } from "./refusal.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A refusal, and what it has been taken for so far. */
function refused(status = 429) {
  const errors: unknown[] = [];
  const refusal = new Refusal(status, { "retry-after": "7" }, (read) => errors.push(read.error({ model: "m" })));
  return { refusal, errors };
}

describe("Refusal", () => {
  it("reads its body whole, however it is split", () => {
    const body = Buffer.from("zu groß für 模型 🙂");
    fc.assert(
      fc.property(fc.array(fc.nat(body.length)), (places) => {
        const { refusal, errors } = refused();
        const cuts = [0, ...places.toSorted((a, b) => a - b), body.length];
        for (const [index, from] of cuts.entries()) refusal.push(body.subarray(from, cuts[index + 1]));
        expect(errors).toEqual([]);
        refusal.end();
        expect(errors).toMatchObject([
          { code: "rate_limited", message: "the engine asks to wait: zu groß für 模型 🙂", retryAfter: 7 },
        ]);
      }),
    );
  });

  it("is taken for what its status says when its body breaks off, never ends, or is endless", () => {
    const expected = [{ code: "rate_limited", retryAfter: 7 }];
    const broken = refused();
    broken.refusal.push(Buffer.from('{"error":{"mess'));
    broken.refusal.end();
    expect(broken.errors).toMatchObject(expected);

    const dripping = refused();
    for (let second = 0; second < 10; second++) {
      dripping.refusal.push(Buffer.from(" "));
      vi.advanceTimersByTime(1_000);
    }
    expect(dripping.errors).toMatchObject(expected);

    const endless = refused();
    for (let kilobytes = 0; kilobytes < 100; kilobytes++) endless.refusal.push(Buffer.alloc(1_024, "x"));
    expect(endless.errors).toMatchObject(expected);
  });

  it("is over once it was read", () => {
    const { refusal, errors } = refused();
    refusal.end();
    refusal.end();
    refusal.push(Buffer.alloc(100_000));
    vi.advanceTimersByTime(10_000);
    expect(errors).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
