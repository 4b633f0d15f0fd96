/**
 * kill -9 of whole processes amid streaming load: the built gateway, Postgres, the engine. What must hold after each round stands in
 * test/support/kill/audit.ts; money-kill.test.ts does the same to the ledger alone.
 *
 * A failure names the seed that plans its round again: `EVENER_KILL_SEED=… npx vitest run --project slow test/slow/process-kill.test.ts`.
 * `node scripts/kill-loop.ts` runs the same loops as long as one likes.
 */
import { describe, expect, it } from "vitest";
import { type Victim, chooseSeed, runKillLoop } from "../support/kill/kill-loops.ts";
import type { StoreKind } from "../support/kill/stand.ts";
import { mortalPostgresAvailable } from "../support/postgres.ts";

type Loop = { victim: Victim; store: StoreKind; rounds: number };

const LOOPS: Loop[] = [
  { victim: "gateway", store: "pglite", rounds: 60 },
  { victim: "gateway", store: "postgres", rounds: 60 },
  { victim: "postgres", store: "postgres", rounds: 20 },
  { victim: "engine", store: "pglite", rounds: 10 },
  { victim: "engine", store: "postgres", rounds: 10 },
  { victim: "both", store: "postgres", rounds: 10 },
  { victim: "machine", store: "postgres", rounds: 2 },
];

const runnable = LOOPS.filter(({ store }) => store === "pglite" || mortalPostgresAvailable());

// Tried once: what a second try would hide is a lost bill.
describe("kill -9", { retry: 0 }, () => {
  it.each(runnable)("of the $victim on $store, $rounds times, loses and doubles nothing", async (loop) => {
    const seed = chooseSeed();
    console.log(`killing the ${loop.victim} on ${loop.store}, EVENER_KILL_SEED=${seed}`);
    const { findings, ...tally } = await runKillLoop({ ...loop, seed });
    console.log(JSON.stringify(tally));
    expect(findings).toEqual([]);
    // Otherwise nothing was put to the test.
    expect(tally.whole).toBeGreaterThan(loop.rounds);
    expect(tally.broken).toBeGreaterThan(loop.rounds);
    if (loop.victim === "gateway" || loop.victim === "machine") expect(tally.recovered).toBeGreaterThan(loop.rounds);
  });
});
