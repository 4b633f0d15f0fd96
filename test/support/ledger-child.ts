/**
 * A process with a ledger of its own and many streams at once, for tests that kill it.
 * Usage: ledger-child.ts DATA_DIR DIARY TENANT_ID KEY_ID STREAMS CHECKPOINT_MS [DATABASE_URL]
 *
 * It writes into the file DIARY, a line each with the time in milliseconds: `go` when it begins; `+ ID` reserved; `= ID OUTPUT` generated
 * so far, before the ledger could hear of it; `! ID OUTPUT` settled, after it was durable.
 */
import { openSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { openStore } from "../../src/db/open-store.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import { movingCounts, requestOf, rowOf } from "./money.ts";

const [dataDir = "", diary = "", tenantId = "", keyId = "", streams = "", checkpointMs = "", databaseUrl] =
  process.argv.slice(2);
const store = await openStore({ dataDir, databaseUrl });
const ledger = await openLedger(store, {
  dataDir,
  checkpointMs: Number(checkpointMs),
  leaseMs: 3_000,
  upkeepMs: 1_000,
});
const file = openSync(diary, "a");
/** Synchronous: what was said before the kill is there. */
const say = (line: string): void => void writeSync(file, `${Date.now()} ${line}\n`);
say("go");

const stream = async (): Promise<void> => {
  const row = rowOf({ tenantId, keyId });
  const counts = movingCounts();
  const reservation = await ledger.reserve(requestOf(row, { counts, inputTokens: () => 50, maxOutput: 4_000 }));
  say(`+ ${row.requestId}`);
  counts.set({ inputUncached: 50 });
  const steps = Math.random() < 0.5 ? Math.ceil(Math.random() * 4) : Math.ceil(Math.random() * 400);
  let output = 0;
  for (let step = 0; step < steps; step++) {
    output += Math.ceil(Math.random() * 3);
    say(`= ${row.requestId} ${output}`);
    counts.set({ output });
    reservation.progress();
    await setTimeout(5);
  }
  await reservation.settle({ ...row, usage: counts.usage });
  say(`! ${row.requestId} ${output}`);
};

const lane = async (): Promise<never> => {
  for (;;) await stream();
};
await Promise.all(Array.from({ length: Number(streams) }, lane));
