/** What people read when money refuses a request: one sentence with what, until when, and what to do. */
import { GatewayError } from "../conversation/errors.ts";
import type { SpendCap } from "../conversation/spend-cap.ts";
import { formatUsd } from "./money.ts";
import type { ReserveResult } from "./statements.ts";

const EVERY = { day: "daily", week: "weekly", month: "monthly" } as const;

export function refusal({ refused, cap, terms }: ReserveResult): GatewayError {
  if (refused === "budget" && cap !== undefined) return budgetExceeded(cap, Date.now());
  return new GatewayError(
    "insufficient_credit",
    terms === "prepaid"
      ? "The credit of this tenant does not cover the request: ask whoever runs this gateway to add credit."
      : "The limit of this tenant's account does not cover the request: ask whoever runs this gateway to settle it or to raise it.",
  );
}

export function budgetExceeded(cap: SpendCap, nowMs: number): GatewayError {
  const whose = cap.scope === "tenant" ? "this tenant" : "this key";
  const reset = `${cap.resetsAt.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const what =
    cap.spent >= cap.limit
      ? `The ${EVERY[cap.period]} budget of ${whose} (${formatUsd(cap.limit)} USD) is spent`
      : `What is left of the ${EVERY[cap.period]} budget of ${whose} (${formatUsd(cap.limit)} USD) does not cover the request`;
  return new GatewayError(
    "budget_exceeded",
    `${what}: wait until ${reset}, or ask whoever runs this gateway for more.`,
    { cap, retryAfter: Math.max(1, Math.ceil((cap.resetsAt.getTime() - nowMs) / 1000)) },
  );
}

export function storeAway(cause?: unknown): GatewayError {
  return new GatewayError(
    "store_unavailable",
    "the gateway's database is away, so this request cannot be paid for now",
    {
      cause,
    },
  );
}
