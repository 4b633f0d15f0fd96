/**
 * A process of its own around the built store, for tests that kill it. Usage: store-child.ts DATA_DIR write|hold|crash-worker.
 * `write` records usage rows 8 at a time and prints each id once it is durable; `hold` opens and waits.
 */
import type * as OpenStore from "../../src/db/open-store.ts";
import type * as OpenLedger from "../../src/ledger/open-ledger.ts";
import { usageRow } from "./usage-row.ts";

const dist = new URL("../../dist/", import.meta.url);
const { openStore } = (await import(new URL("db/open-store.js", dist).href)) as typeof OpenStore;
const { openLedger } = (await import(new URL("ledger/open-ledger.js", dist).href)) as typeof OpenLedger;

const [dataDir = "", task] = process.argv.slice(2);
const store = await openStore({ dataDir });
process.stdout.write("open\n");

if (task === "write") {
  const ledger = await openLedger(store, { dataDir });
  let last = 0;
  const lane = async (): Promise<never> => {
    for (;;) {
      const requestId = `req_${process.pid}_${++last}`;
      await ledger.record(usageRow({ requestId }));
      process.stdout.write(`${requestId}\n`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}
