/** A budget as a request meets it: how far it is spent, and when it starts anew. */

export type SpendCap = {
  /** `tenant`: shared by all keys of the tenant. */
  readonly scope: "tenant" | "key";
  readonly period: "day" | "week" | "month";
  /** nano-USD. */
  readonly limit: bigint;
  /** nano-USD settled in this period; what requests in flight hold is not in it. */
  readonly spent: bigint;
  /** End of the period: midnight UTC, on a Monday for a week, on the first for a month. */
  readonly resetsAt: Date;
};

/** How much is spent in whole percents, rounded down: exact, and more than 100 where more is spent than there was. */
export function percentSpent({ limit, spent }: Pick<SpendCap, "limit" | "spent">): number {
  return limit === 0n ? 100 : Number((spent * 100n) / limit);
}

/** 0 to 1; 1 when all is spent, or more. */
export function utilization({ limit, spent }: SpendCap): number {
  return limit <= spent ? 1 : Number((spent * 10_000n) / limit) / 10_000;
}

/**
 * Whether `one` is the budget to be told of rather than `other`: what is spent before what is not, of two that are spent the one that lasts
 * longest, else the one that is spent further, exactly. Of two that are as far, the one that lasts longest, and then the smaller.
 */
export function isFurther(one: SpendCap, other: SpendCap): boolean {
  const [oneIsSpent, otherIsSpent] = [one.limit <= one.spent, other.limit <= other.spent];
  if (oneIsSpent !== otherIsSpent) return oneIsSpent;
  if (!oneIsSpent) {
    const [left, right] = [one.spent * other.limit, other.spent * one.limit];
    if (left !== right) return left > right;
  }
  const longer = one.resetsAt.getTime() - other.resetsAt.getTime();
  return longer === 0 ? one.limit < other.limit : longer > 0;
}

/** From which utilization on clients warn: the larger threshold that was reached, null below both. */
export function surpassedThreshold(cap: SpendCap): 0.75 | 0.95 | 1 | null {
  const used = utilization(cap);
  if (used >= 1) return 1;
  if (used >= 0.95) return 0.95;
  return used >= 0.75 ? 0.75 : null;
}
