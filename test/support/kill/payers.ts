/** The tenants of the kill loops, of all kinds of terms, made through the admin API as an operator makes them. */
import { formatUsd, parseUsd } from "../../../src/ledger/money.ts";
import type { GatewayProcess } from "./gateway-process.ts";

export type Payer = {
  name: string;
  terms: "prepaid" | "postpaid";
  /** Whether it has so little that some of its requests are refused, and some of its answers end early. */
  tight: boolean;
  /** A virtual key. */
  key: string;
};
export type Payers = [Payer, ...Payer[]];

/** As `PRICES` of test/support/money.ts. */
const PRICE = {
  model: "simulated-model",
  input_usd: "3",
  cache_read_usd: "0.30",
  cache_write_usd: "3.75",
  output_usd: "15",
};
/** More than thousands of rounds cost. */
const PLENTY = "100000";
/** What a tight tenant gets for a round: a handful of answers. */
const TIGHT = "0.01";
/** nano-USD. */
const CENT = 10_000_000n;

export async function makePayers({ admin }: GatewayProcess): Promise<Payers> {
  await admin("/prices", PRICE);
  const make = async (name: string, terms: Payer["terms"], tight: boolean): Promise<Payer> => {
    await admin("/tenants", { name, terms });
    const { key } = await admin<{ key: string }>("/keys", { tenant: name });
    return { name, terms, tight, key };
  };
  const prepaid = await make("prepaid", "prepaid", false);
  await admin("/tenants/prepaid/credits", { amount_usd: PLENTY });
  const postpaid = await make("postpaid", "postpaid", false);
  const budgeted = await make("budgeted", "postpaid", false);
  await admin("/budgets", { tenant: "budgeted", period: "day", amount_usd: PLENTY });
  await admin("/budgets", { tenant: "budgeted", period: "month", amount_usd: PLENTY });
  return [prepaid, postpaid, budgeted, await make("poor", "prepaid", true), await make("capped", "postpaid", true)];
}

/** Gives the tight tenants a little to spend. */
export async function refill({ admin }: GatewayProcess): Promise<void> {
  await admin("/tenants/poor/credits", { amount_usd: TIGHT });
  const { data } = await admin<{ data: { spent_usd: string }[] }>("/budgets?tenant=capped");
  const spent = parseUsd(data[0]?.spent_usd ?? "0");
  // Budgets are in whole cents.
  const amount = ((spent + CENT - 1n) / CENT) * CENT + parseUsd(TIGHT);
  await admin("/budgets", { tenant: "capped", period: "month", amount_usd: formatUsd(amount) });
}
