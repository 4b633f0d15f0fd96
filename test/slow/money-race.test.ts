/** A race of 64 for the last of a budget: never an overrun, and nothing refused that would have fitted. `EVENER_MONEY_ROUNDS` rounds. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Store, openStore } from "../../src/db/open-store.ts";
import { holdFor } from "../../src/ledger/money.ts";
import type { Ledger } from "../../src/ledger/ledger-types.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import {
  PRICES,
  accountOf,
  addBudget,
  addPayer,
  addPrice,
  eventOf,
  expectSound,
  movingCounts,
  periodsOf,
  requestOf,
  rowOf,
  usage,
} from "../support/money.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";

const ROUNDS = Number(process.env["EVENER_MONEY_ROUNDS"] ?? 50);
const RACERS = 64;

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("the last of a budget on $kind", ({ kind, open }) => {
  let test: TestStore;
  let second: Store;
  let ledgers: Ledger[];
  let dataDir: string;
  beforeAll(async () => {
    test = await open();
    dataDir = mkdtempSync(join(tmpdir(), "evener-race-"));
    // Two gateways, where the store can have two.
    second = kind === "postgres" ? await openStore({ ...test.options, dataDir }) : test.store;
    ledgers = await Promise.all([test.store, second].map((store) => openLedger(store, { dataDir })));
    await addPrice(test.store, "priced");
  });
  afterAll(async () => {
    await Promise.all(ledgers.map((ledger) => ledger.close(5_000)));
    if (second !== test.store) await second.close();
    await test.dispose();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it(`admits as many as fit and no more, in ${ROUNDS} rounds`, { retry: 0 }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const fit = 1 + (round % (RACERS + 4));
      const hold = holdFor(PRICES, 1_000, 100);
      const limit = hold * BigInt(fit) + BigInt(round % 3) * (hold / 3n);
      // In turn the tenant's budget, the key's, and the credit of a prepaid tenant.
      const what = round % 3;
      const payer = await addPayer(
        test.store,
        what === 2 ? { terms: "prepaid", balance: limit, floor: 0n } : undefined,
      );
      const owner = what === 0 ? { tenantId: payer.tenantId } : payer;
      const budget = what === 2 ? undefined : await addBudget(test.store, owner, "month", limit);
      let admitted = 0;
      await Promise.all(
        Array.from({ length: RACERS }, async (_, racer) => {
          const row = rowOf(payer, { usage: usage({ cacheWrite: 1_000, output: 100 }) });
          try {
            const reservation = await ledgers[racer % 2]!.reserve(requestOf(row, { maxOutput: 100 }));
            admitted++;
            await setTimeout(20);
            await reservation.settle(row);
          } catch (error) {
            expect(error).toMatchObject({ code: what === 2 ? "insufficient_credit" : "budget_exceeded" });
          }
        }),
      );
      // All use up what they hold, so that none can take the place of another.
      expect(admitted).toBe(Math.min(fit, RACERS));
      const { balance, held } = await accountOf(test.store, payer);
      expect(held).toBe(0n);
      expect((what === 2 ? limit : 0n) - balance).toBe(hold * BigInt(admitted));
      if (budget !== undefined)
        expect(await periodsOf(test.store, budget)).toMatchObject([{ spent: hold * BigInt(admitted), held: 0n }]);
    }
    await expectSound(test.store);
  });

  it("ends 64 streams together when the last of a budget is gone, without an overrun", { retry: 0 }, async () => {
    const limit = 500_000_000n;
    const payer = await addPayer(test.store);
    const budget = await addBudget(test.store, { tenantId: payer.tenantId }, "day", limit);
    const ends: (string | null)[] = [];
    await Promise.all(
      Array.from({ length: RACERS }, async (_, racer) => {
        const row = rowOf(payer);
        const counts = movingCounts();
        let ended = false;
        const options = { counts, inputTokens: () => 10, maxOutput: 20_000, onExhausted: () => void (ended = true) };
        const reservation = await ledgers[racer % 2]!.reserve(requestOf(row, options)).catch(() => undefined);
        if (reservation === undefined) return;
        counts.set({ inputUncached: 10 });
        for (let output = 0; !ended; output += 1 + (racer % 4)) {
          counts.set({ output });
          reservation.progress();
          await setTimeout(10);
        }
        await reservation.settle({ ...row, usage: counts.usage, finishReason: "length" });
        const event = (await eventOf(test.store, row.requestId))!;
        // Every generated token is in the row, billed or not.
        expect(event.output + event.unbilled_output).toBe(counts.output);
        ends.push(event.cut_by);
      }),
    );
    expect(ends.length).toBeGreaterThan(20);
    // A store that answers late on a busy machine ends a stream, too: it may not run on without its money.
    for (const end of ends) expect(["tenant day budget", "database slow"]).toContain(end);
    const [period] = await periodsOf(test.store, budget);
    expect(period!.held).toBe(0n);
    expect(period!.spent).toBeLessThanOrEqual(limit);
    if (!ends.includes("database slow")) expect(period!.spent).toBeGreaterThan((limit * 8n) / 10n);
    await expectSound(test.store);
  });
});
