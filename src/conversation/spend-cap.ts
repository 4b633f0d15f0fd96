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

/** 0 to 1; 1 when all is spent, or more. */
export function utilization({ limit, spent }: SpendCap): number {
  return limit <= spent ? 1 : Number((spent * 10_000n) / limit) / 10_000;
}

/** From which utilization on clients warn: the larger threshold that was reached, null below both. */
export function surpassedThreshold(cap: SpendCap): 0.75 | 0.95 | 1 | null {
  const used = utilization(cap);
  if (used >= 1) return 1;
  if (used >= 0.95) return 0.95;
  return used >= 0.75 ? 0.75 : null;
}
