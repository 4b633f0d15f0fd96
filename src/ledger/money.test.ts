import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOf, formatPrice, formatUsd, holdFor, parsePrice, parseUsd, perMillion } from "./money.ts";

const SONNET = { inputUncached: 3_000_000n, cacheRead: 300_000n, cacheWrite: 3_750_000n, output: 15_000_000n };

describe("money as people write it", () => {
  it.each([
    ["12", 12_000_000_000n],
    ["0.5", 500_000_000n],
    ["-3.25", -3_250_000_000n],
    ["0.000000001", 1n],
    [" 7.10 ", 7_100_000_000n],
    ["1.0000000000000", 1_000_000_000n],
  ])("reads %s", (text, nano) => {
    expect(parseUsd(text)).toBe(nano);
  });

  it.each(["", "abc", "1,5", "$5", "1e3", "0.0000000001", ".5", "5.", "1234567890", "--1", "Infinity"])(
    "refuses %j",
    (text) => {
      expect(() => parseUsd(text)).toThrow(expect.objectContaining({ code: "invalid_request" }));
    },
  );

  it("writes what it reads, for every amount", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }), (nano) => {
        expect(parseUsd(formatUsd(nano))).toBe(nano);
      }),
    );
    expect(formatUsd(12_000_000_000n)).toBe("12.00");
    expect(formatUsd(-1n)).toBe("-0.000000001");
  });

  it("reads prices a million tokens", () => {
    expect(parsePrice("3")).toBe(3_000_000n);
    expect(parsePrice("0.075")).toBe(75_000n);
    expect(parsePrice("1000")).toBe(1_000_000_000n);
    expect(formatPrice(75_000n)).toBe("0.075");
    for (const bad of ["-1", "1000.000001", "0.0000001"])
      expect(() => parsePrice(bad)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});

describe("tokens as money", () => {
  it("is exact until it is rounded, half up, once", () => {
    const usage = { inputUncached: 1, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
    const price = (pico: bigint) => ({ ...SONNET, inputUncached: pico });
    expect(costOf(price(499n), usage)).toBe(0n);
    expect(costOf(price(500n), usage)).toBe(1n);
    expect(costOf(price(1_499n), usage)).toBe(1n);
    expect(costOf(SONNET, { inputUncached: 1000, cacheRead: 2000, cacheWrite: 100, output: 300, reasoning: 299 })).toBe(
      3_000_000n + 600_000n + 375_000n + 4_500_000n,
    );
  });

  it("never costs more than what is held for the same tokens", () => {
    const tokens = fc.nat(2_000_000);
    const price = fc.bigInt({ min: 0n, max: 1_000_000_000n });
    fc.assert(
      fc.property(
        fc.record({ inputUncached: price, cacheRead: price, cacheWrite: price, output: price }),
        fc.record({ inputUncached: tokens, cacheRead: tokens, cacheWrite: tokens, output: tokens }),
        (prices, usage) => {
          const input = usage.inputUncached + usage.cacheRead + usage.cacheWrite;
          expect(costOf(prices, { ...usage, reasoning: 0 })).toBeLessThanOrEqual(holdFor(prices, input, usage.output));
        },
      ),
    );
  });
});

describe("a rate a million tokens", () => {
  it.each([
    ["is exact where a millionth of a USD holds it", 3_000_000n, 1_000n, 3_000_000_000n],
    ["is rounded up from half a millionth", 1_500n, 1_000_000n, 2_000n],
    ["is rounded down below it", 1_499n, 1_000_000n, 1_000n],
  ])("%s", (_what, nano, tokens, rate) => {
    expect(perMillion(nano, tokens)).toBe(rate);
  });

  it("is none where there are no tokens", () => {
    expect(perMillion(5n, 0n)).toBeUndefined();
  });
});
