import { expect, test } from "vitest";
import { type SpendCap, isFurther, percentSpent } from "./spend-cap.ts";

const cap = (spent: bigint, limit: bigint, day = 1): SpendCap => ({
  scope: "tenant",
  period: "day",
  limit,
  spent,
  resetsAt: new Date(Date.UTC(2026, 11, day)),
});

test.each<[string, SpendCap, SpendCap]>([
  ["what is spent before what is not", cap(10n, 10n, 1), cap(99n, 100n, 31)],
  ["a limit of nothing before what is not spent", cap(0n, 0n, 1), cap(99n, 100n, 31)],
  ["of two that are spent the one that lasts longest, however far", cap(10n, 10n, 31), cap(500n, 10n, 1)],
  ["of two that are spent, one of nothing among them", cap(0n, 0n, 31), cap(10n, 10n, 1)],
  ["what is spent further", cap(6n, 10n, 1), cap(50n, 100n, 31)],
  ["what is spent further by less than any percent", cap(500_000_000_001n, 10n ** 12n, 1), cap(5n, 10n, 31)],
  ["of two as far the one that lasts longest", cap(5n, 10n, 31), cap(50n, 100n, 1)],
  ["of two that nothing is spent of the one that lasts longest", cap(0n, 10n, 31), cap(0n, 100n, 1)],
  ["of two that end together the smaller", cap(5n, 10n), cap(50n, 100n)],
])("%s is told of", (_what, first, second) => {
  expect([isFurther(first, second), isFurther(second, first)]).toEqual([true, false]);
});

test("a budget is not further than itself", () => {
  for (const same of [cap(0n, 0n), cap(0n, 1n), cap(2n, 1n)]) expect(isFurther(same, same)).toBe(false);
});

test("percents are exact, and rounded down", () => {
  const of = (limit: bigint): number[] =>
    [0n, 9n, 29n, 57n, 99n, 100n, 120n].map((spent) => percentSpent({ limit, spent }));
  expect(of(100n)).toEqual([0, 9, 29, 57, 99, 100, 120]);
  expect(percentSpent({ limit: 100_000_000n, spent: 90_000_000n })).toBe(90);
  expect(percentSpent({ limit: 100_000_000n, spent: 99_999_999n })).toBe(99);
  expect(of(0n)).toEqual(Array.from({ length: 7 }, () => 100));
});
