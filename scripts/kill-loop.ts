/**
 * The kill loops of test/slow/process-kill.test.ts, as long as one likes:
 * `node scripts/kill-loop.ts --victim gateway --store postgres --rounds 1000`. Builds first. `--seed` (or EVENER_KILL_SEED) plans the same
 * rounds again. Prints a line now and then, and at the end the row for docs/billing-proof.md; ends with 1 at the first round in which
 * something is wrong.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { chooseSeed, isVictim, runKillLoop } from "../test/support/kill/kill-loops.ts";

const EVERY_ROUNDS = 10;

const { values } = parseArgs({
  options: {
    victim: { type: "string", default: "gateway" },
    store: { type: "string", default: "pglite" },
    rounds: { type: "string", default: "1000" },
    seed: { type: "string" },
    "no-build": { type: "boolean", default: false },
  },
});
const { victim, store } = values;
const rounds = Number(values.rounds);
const seed = values.seed === undefined ? chooseSeed() : Number(values.seed);
if (!isVictim(victim) || (store !== "pglite" && store !== "postgres") || !(rounds > 0) || !Number.isInteger(seed)) {
  console.error(
    "usage: node scripts/kill-loop.ts [--victim gateway|machine|postgres|both|engine] [--store pglite|postgres] [--rounds N] [--seed N]",
  );
  process.exit(2);
}

// The children that were started end with this process, if it ends by itself.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
if (!values["no-build"]) execFileSync("npm", ["run", "--silent", "build"], { stdio: "inherit" });
console.log(`killing the ${victim} on ${store}, ${rounds} rounds, EVENER_KILL_SEED=${seed}`);
const begun = performance.now();
const seconds = (): number => Math.round((performance.now() - begun) / 1000);

const tally = await runKillLoop({
  victim,
  store,
  rounds,
  seed,
  onRound(round, sofar) {
    if (round % EVERY_ROUNDS === 0) console.log(`${seconds()} s, ${round} rounds: ${JSON.stringify(sofar)}`);
  },
});

const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
const day = new Date().toISOString().slice(0, 10);
const { requests, whole, broken, recovered, unbilledTokens, unbilledMs } = tally;
// A round in which anything was lost or doubled has ended this with an error.
const cells = [
  victim,
  store,
  rounds,
  requests,
  whole,
  broken,
  recovered,
  0,
  0,
  unbilledTokens,
  `${unbilledMs} ms`,
  day,
];
console.log(`| ${cells.join(" | ")} | \`${git("rev-parse", "--short", "HEAD")}\` |`);
