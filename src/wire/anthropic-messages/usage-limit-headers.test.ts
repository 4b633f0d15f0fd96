import { describe, expect, it } from "vitest";
import type { SpendCap } from "../../conversation/spend-cap.ts";
import { limitReachedHeaders, usageLimitHeaders } from "./usage-limit-headers.ts";

const cap = (spent: bigint, more: Partial<SpendCap> = {}): SpendCap => ({
  scope: "key",
  period: "month",
  limit: 1_000n,
  spent,
  resetsAt: new Date("2026-12-01T00:00:00Z"),
  ...more,
});
const RESET = "1796083200";

describe("on an answer", () => {
  it("says how much is used, rounded down", () => {
    expect(usageLimitHeaders(cap(749n))).toEqual({
      "anthropic-ratelimit-unified-status": "allowed",
      "anthropic-ratelimit-unified-representative-claim": "overage",
      "anthropic-ratelimit-unified-reset": RESET,
      "anthropic-ratelimit-unified-overage-status": "allowed",
      "anthropic-ratelimit-unified-overage-reset": RESET,
      "anthropic-ratelimit-unified-overage-utilization": "0.74",
    });
  });

  it.each([
    [750n, "0.75", "0.75"],
    [949n, "0.75", "0.94"],
    [950n, "0.95", "0.95"],
    [999n, "0.95", "0.99"],
    [1_200n, "0.95", "0.99"],
  ])("warns at %s of 1000", (spent, threshold, utilization) => {
    expect(usageLimitHeaders(cap(spent))).toMatchObject({
      "anthropic-ratelimit-unified-status": "allowed_warning",
      "anthropic-ratelimit-unified-overage-status": "allowed_warning",
      "anthropic-ratelimit-unified-overage-surpassed-threshold": threshold,
      "anthropic-ratelimit-unified-overage-utilization": utilization,
    });
  });
});

describe("on the 429", () => {
  it("says which limit, until when, and nothing that makes the client hide the message", () => {
    expect(limitReachedHeaders(cap(1_000n, { period: "week", scope: "tenant" }))).toEqual({
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-reset": RESET,
      "anthropic-ratelimit-unified-overage-reset": RESET,
      "anthropic-ratelimit-unified-overage-utilization": "1",
      "anthropic-ratelimit-unified-overage-surpassed-threshold": "1",
      "anthropic-ratelimit-unified-overage-period": "weekly",
      "anthropic-ratelimit-unified-overage-disabled-reason": "org_spend_cap_reached",
      "anthropic-ratelimit-unified-overage-scope": "group_pool",
    });
  });

  it("says nothing of a group for a key's own limit", () => {
    expect(limitReachedHeaders(cap(1_000n))).not.toHaveProperty("anthropic-ratelimit-unified-overage-scope");
  });
});
