/**
 * The headers in which Anthropic's clients read how far a spending limit is used up: on each answer of a tenant or key with a budget, and
 * on the 429 once it is spent. Claude Code warns past 75 % and 95 %, and shows the message of the 429.
 */
import { type SpendCap, surpassedThreshold, utilization } from "../../conversation/spend-cap.ts";

const PREFIX = "anthropic-ratelimit-unified";
const PERIODS = { day: "daily", week: "weekly", month: "monthly" } as const;

/** On a successful answer. */
export function usageLimitHeaders(cap: SpendCap): Record<string, string> {
  const threshold = surpassedThreshold(cap);
  const status = threshold === null ? "allowed" : "allowed_warning";
  const reset = unixSeconds(cap.resetsAt);
  return {
    [`${PREFIX}-status`]: status,
    [`${PREFIX}-representative-claim`]: "overage",
    [`${PREFIX}-reset`]: reset,
    [`${PREFIX}-overage-status`]: status,
    [`${PREFIX}-overage-reset`]: reset,
    // An answer that was let in has not reached its limit, whatever it spends by itself.
    [`${PREFIX}-overage-utilization`]: Math.min(0.99, Math.floor(utilization(cap) * 100) / 100).toFixed(2),
    ...(threshold !== null && { [`${PREFIX}-overage-surpassed-threshold`]: String(Math.min(0.95, threshold)) }),
  };
}

/** On the 429. Without `representative-claim` and `overage-status`, with which Claude Code shows words of its own instead of the message. */
export function limitReachedHeaders(cap: SpendCap): Record<string, string> {
  const reset = unixSeconds(cap.resetsAt);
  return {
    [`${PREFIX}-status`]: "rejected",
    [`${PREFIX}-reset`]: reset,
    [`${PREFIX}-overage-reset`]: reset,
    [`${PREFIX}-overage-utilization`]: "1",
    [`${PREFIX}-overage-surpassed-threshold`]: "1",
    [`${PREFIX}-overage-period`]: PERIODS[cap.period],
    [`${PREFIX}-overage-disabled-reason`]: "org_spend_cap_reached",
    ...(cap.scope === "tenant" && { [`${PREFIX}-overage-scope`]: "group_pool" }),
  };
}

function unixSeconds(at: Date): string {
  return String(Math.floor(at.getTime() / 1000));
}
