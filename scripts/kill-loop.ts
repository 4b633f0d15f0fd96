/**
 * The kill loops of test/slow/process-kill.test.ts, as long as one likes:
 * `node scripts/kill-loop.ts --victim gateway --store postgres --rounds 1000`. Builds first. `--seed` (or EVENER_KILL_SEED) plans the same
 * rounds again. Goes on where something is wrong, and says what; every ten rounds, and at the end, it prints the row for
 * docs/billing-proof.md. Ends with 1 if anything was wrong.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { chooseSeed, isVictim, runKillLoop } from "../test/support/kill/kill-loops.ts";
import { type Tally, countFindings } from "../test/support/kill/tally.ts";

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
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
const begun = performance.now();

/** As in the table of docs/billing-proof.md. */
function tableRow(done: number, tally: Tally): string {
  const { requests, whole, broken, recovered, unbilledTokens, unbilledMs, findings } = tally;
  const [lost, doubled] = [countFindings(tally, "lost"), countFindings(tally, "doubled")];
  const others = findings.length - lost - doubled;
  const day = new Date().toISOString().slice(0, 10);
  const counts = [done, requests, whole, broken, recovered, lost, doubled, unbilledTokens, unbilledMs, others];
  return `| ${[victim, store, ...counts.map((count) => count.toLocaleString("en")), day, `\`${commit}\``].join(" | ")} |`;
}

const tally = await runKillLoop({
  victim,
  store,
  rounds,
  seed,
  onRound(round, sofar) {
    const seconds = Math.round((performance.now() - begun) / 1000);
    if (round % EVERY_ROUNDS === 0 && round < rounds) console.log(`${seconds} s: ${tableRow(round, sofar)}`);
  },
  onFindings: (report) => console.error(report),
}).catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
console.log(tableRow(rounds, tally));
process.exitCode = tally.findings.length === 0 ? 0 : 1;
