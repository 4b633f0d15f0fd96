/**
 * What a streamed answer costs, and on whose account of time, when midnight passes meanwhile: the end of a day, of a week and of a month at once. The
 * database's clock is moved there; on Postgres the gateway's own is five minutes ahead of it.
 */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUsd, parseUsd } from "../../src/ledger/money.ts";
import { FakedClock, fakedClockAvailable } from "../support/faked-clock.ts";
import { open, send } from "../support/http.ts";
import { GATEWAY_STORES, type MoneyStand, startMoneyStand } from "../support/money-stand.ts";
import { mortalPostgresAvailable } from "../support/postgres.ts";
import { waitUntil } from "../support/wait-until.ts";

/** A Monday, and the first of a month. */
const MIDNIGHT = Date.parse("2027-02-01T00:00:00Z");
const FIVE_MINUTES = 300_000;
const TOKENS = 60;
const DELAY_MS = 100;
/** USD 1 a million tokens of the prompt, 7 and then 70 of the answer. */
const PRICE = { input: "1", cacheRead: "0.1", output: "7" };
const DEARER = { ...PRICE, output: "70" };

const STORES = GATEWAY_STORES.filter((store) => store === "pglite" || mortalPostgresAvailable());

describe.runIf(fakedClockAvailable()).each(STORES)("midnight during a stream, on %s", (store) => {
  // The embedded database is in the gateway's process, and has its clock.
  const aheadMs = store === "postgres" ? FIVE_MINUTES : 0;
  const clock = new FakedClock({ gateway: aheadMs });
  let stand: MoneyStand;
  beforeAll(async () => {
    await clock.set(new Date(MIDNIGHT - 3_600_000));
    stand = await startMoneyStand(store, {
      clock: { database: clock.env(), gateway: clock.env("gateway") },
      simulator: { script: [{ answer: { text: Array.from({ length: TOKENS }, () => " word"), delay: DELAY_MS } }] },
    });
  }, 120_000);
  afterAll(async () => {
    await stand?.stop();
    clock.remove();
  });

  async function admin<T>(path: string): Promise<T> {
    const { url, adminKey } = stand.gateways[0];
    const headers = { authorization: `Bearer ${adminKey}` };
    const { status, text } = await send(`${url}/admin/v1/${path}`, { method: "GET", headers });
    expect(status, text).toBe(200);
    return JSON.parse(text) as T;
  }

  it("charges the day, the week and the month in which it began, at the price of then", async () => {
    const payer = await stand.payers.payer({ credit: "100" });
    for (const period of ["day", "week", "month"] as const) {
      await stand.payers.budget({ tenant: payer.tenant }, period, "50");
      await stand.payers.budget({ key: payer.keyId }, period, "50");
    }
    await stand.payers.price("test-model", PRICE);
    const { data: before } = await admin<Budgets>(`budgets?tenant=${payer.tenant}`);
    expect(before.map(({ resets_at }) => Date.parse(resets_at))).toEqual(before.map(() => MIDNIGHT));

    const stream = async () => {
      const { response } = await open(`${stand.gateways[0].url}/v1/messages`, {
        headers: { authorization: `Bearer ${payer.key}` },
        body: {
          model: "test-model",
          max_tokens: 1_000,
          stream: true,
          messages: [{ role: "user", content: "a long answer" }],
        },
      });
      expect(response.statusCode).toBe(200);
      return response;
    };

    await clock.set(new Date(MIDNIGHT - 2_500));
    const first = await stream();
    let text = "";
    first.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    await waitUntil("the answer to begin", () => text.includes("word"));
    expect(clock.now(), "the answer has begun before midnight").toBeLessThan(MIDNIGHT);
    await waitUntil("midnight", () => clock.now() > MIDNIGHT + 200);
    expect(text, "the answer goes on").not.toContain("message_stop");
    await stand.payers.price("test-model", DEARER);
    await once(first, "end");
    expect(text).toContain("message_stop");

    const [row] = await stand.rows(payer.tenant, 1);
    expect(row).toMatchObject({ outcome: "ok", counted_by: "engine", output: TOKENS + 1, unbilled_output: 0 });
    // The gateway wrote down when the request came by its own clock, which was past midnight where it is ahead.
    expect(Date.parse(row!.started_at) > MIDNIGHT).toBe(aheadMs > 0);
    const cost = costOf(row!, 7);
    expect(row!.cost_usd).toBe(formatUsd(cost));

    // Nothing of it is in the periods that have begun meanwhile; all of it is on the invoice of the old month.
    const { data: fresh } = await admin<Budgets>(`budgets?tenant=${payer.tenant}`);
    expect(fresh).toHaveLength(6);
    for (const { spent_usd, held_usd, resets_at } of fresh) {
      expect([spent_usd, held_usd]).toEqual(["0.00", "0.00"]);
      expect(Date.parse(resets_at)).toBeGreaterThan(MIDNIGHT);
    }
    expect(parseUsd((await invoice(payer.tenant, "2027-01")).ledger_usd)).toBe(cost);
    expect(parseUsd((await invoice(payer.tenant, "2027-02")).ledger_usd)).toBe(0n);

    const second = await stream();
    await once(second.resume(), "end");
    const rows = await stand.rows(payer.tenant, 2);
    const dearer = costOf(rows[1]!, 70);
    expect(rows[1]!.cost_usd).toBe(formatUsd(dearer));
    const { data: after } = await admin<Budgets>(`budgets?tenant=${payer.tenant}`);
    expect(after.map(({ spent_usd }) => parseUsd(spent_usd))).toEqual(after.map(() => dearer));
    expect(parseUsd((await invoice(payer.tenant, "2027-01")).ledger_usd)).toBe(cost);
    expect(parseUsd((await invoice(payer.tenant, "2027-02")).ledger_usd)).toBe(dearer);
    await stand.payers.verify();
  });

  const invoice = (tenant: string, month: string) =>
    admin<{ ledger_usd: string }>(`invoices?tenant=${tenant}&month=${month}&format=json`);
});

type Budgets = { data: { period: string; spent_usd: string; held_usd: string; resets_at: string }[] };

/** nano-USD, exact: prices are whole dollars or tenths a million tokens. */
function costOf(row: { input_uncached: number; cache_read: number; output: number }, outputUsd: number): bigint {
  return BigInt(row.input_uncached) * 1_000n + BigInt(row.cache_read) * 100n + BigInt(row.output * outputUsd) * 1_000n;
}
