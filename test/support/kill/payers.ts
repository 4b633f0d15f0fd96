/** The tenants of the kill loops, one of each kind of terms, made through the admin API as an operator makes them. */
import type { GatewayProcess } from "./gateway-process.ts";

export type Payer = {
  name: string;
  terms: "prepaid" | "postpaid";
  /** A virtual key. */
  key: string;
};

/** As `PRICES` of test/support/money.ts. */
const PRICE = {
  model: "simulated-model",
  input_usd: "3",
  cache_read_usd: "0.30",
  cache_write_usd: "3.75",
  output_usd: "15",
};
/** More than thousands of rounds cost, so that only what is asked for here is ever refused. */
const PLENTY = "100000";

export async function makePayers({ admin }: GatewayProcess): Promise<[Payer, ...Payer[]]> {
  await admin("/prices", PRICE);
  const make = async (name: string, terms: Payer["terms"]): Promise<Payer> => {
    await admin("/tenants", { name, terms });
    const { key } = await admin<{ key: string }>("/keys", { tenant: name });
    return { name, terms, key };
  };
  const prepaid = await make("prepaid", "prepaid");
  await admin("/tenants/prepaid/credits", { amount_usd: PLENTY });
  const postpaid = await make("postpaid", "postpaid");
  const budgeted = await make("budgeted", "postpaid");
  await admin("/budgets", { tenant: "budgeted", period: "day", amount_usd: PLENTY });
  await admin("/budgets", { tenant: "budgeted", period: "month", amount_usd: PLENTY });
  return [prepaid, postpaid, budgeted];
}
