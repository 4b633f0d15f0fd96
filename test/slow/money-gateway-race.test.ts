/** 64 clients of two built gateways race for the last of a budget or of credit: no overrun, and nothing refused that would have fitted. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { send } from "../support/http.ts";
import { GATEWAY_STORES, type MoneyStand, startMoneyStand } from "../support/money-stand.ts";
import type { Payer } from "../support/payers.ts";
import { waitUntil } from "../support/wait-until.ts";

const ROUNDS = Number(process.env["EVENER_MONEY_ROUNDS"] ?? 50);
const RACERS = 64;

describe.each(GATEWAY_STORES)("the last of a budget, through gateways on %s", (store) => {
  let stand: MoneyStand;
  beforeAll(async () => {
    stand = await startMoneyStand(store, {
      gateways: store === "postgres" ? 2 : 1,
      simulator: { maxNumSeqs: RACERS },
    });
    // A cent for a hundred tokens.
    await stand.payers.price("test-model", { input: "0", cacheRead: "0", output: "100" });
  });
  afterAll(() => stand?.stop());

  const ask = (payer: Payer, racer: number, content: string, maxTokens: number) =>
    send(`${stand.gateways[racer % stand.gateways.length]!.url}/v1/messages`, {
      headers: { "x-api-key": payer.key },
      body: { model: "test-model", max_tokens: maxTokens, stream: true, messages: [{ role: "user", content }] },
    });

  const cents = (usd: string): number => Math.round(Number(usd) * 100);

  it(`lets in as many as fit and no more, in ${ROUNDS} rounds`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const fit = 1 + ((round * 7) % (RACERS + 4));
      const limit = (fit / 100).toFixed(2);
      // In turn the tenant's budget, the key's, and the credit of a prepaid tenant.
      const what = round % 3;
      const payer = await stand.payers.payer(what === 2 ? { credit: limit } : {});
      if (what < 2) {
        const owner = what === 0 ? { tenant: payer.tenant } : { key: payer.keyId };
        await stand.payers.budget(owner, "month", limit);
      }
      const answers = await Promise.all(
        Array.from({ length: RACERS }, (_, racer) => ask(payer, racer, "[[sim:chunks=100,delay=1]]", 100)),
      );
      const statuses = answers.map(({ status }) => status);
      const admitted = statuses.filter((status) => status === 200).length;
      expect(new Set(statuses.filter((status) => status !== 200))).toEqual(new Set(admitted < RACERS ? [429] : []));
      expect(admitted).toBe(Math.min(fit, RACERS));
      const { balance_usd, held_usd } = await stand.payers.account(payer.tenant);
      expect([cents(balance_usd), held_usd]).toEqual([(what === 2 ? fit : 0) - admitted, "0.00"]);
    }
    await stand.payers.verify();
  });

  it("ends 64 streams together when the last of a budget is gone, without an overrun", async () => {
    const payer = await stand.payers.payer();
    await stand.payers.budget({ tenant: payer.tenant }, "month", "8");
    const answers = await Promise.all(
      Array.from({ length: RACERS }, (_, racer) => ask(payer, racer, "[[sim:chunks=20000,delay=10]]", 20_000)),
    );
    const streams = answers.filter(({ status }) => status === 200);
    expect(streams.length).toBeGreaterThan(20);
    for (const { text } of streams) expect(text).toContain('"stop_reason":"max_tokens"');
    const rows = await stand.rows(payer.tenant, RACERS);
    const cut = rows.filter(({ outcome }) => outcome === "ok").map(({ cut_by }) => cut_by);
    expect(cut).toHaveLength(streams.length);
    // A store that answers late on a busy machine ends a stream, too: it may not run on without its money.
    for (const by of cut) expect(["tenant month budget", "database slow"]).toContain(by);
    await waitUntil("nothing to be held", async () => {
      const { held_usd } = await stand.payers.account(payer.tenant);
      return held_usd === "0.00";
    });
    const { balance_usd } = await stand.payers.account(payer.tenant);
    expect(-cents(balance_usd)).toBeLessThanOrEqual(800);
    if (!cut.includes("database slow")) expect(-cents(balance_usd)).toBeGreaterThan(640);
    for (const row of rows) {
      const generated = stand.served(row.request_id)?.completionTokens ?? 0;
      expect(row.output + row.unbilled_output).toBeLessThanOrEqual(generated);
    }
    await stand.payers.verify();
  });
});
