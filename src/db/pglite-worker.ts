/**
 * Runs PGlite in a worker thread, as a Postgres server with one connection: wire protocol in, wire protocol out. On the main
 * thread a statement would stop the event loop for as long as it runs (up to 240 ms was measured).
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { parentPort, workerData } from "node:worker_threads";
import { GREETING, requestReader } from "./wire-frames.ts";

export type PgliteWorkerData = { directory: string };

if (parentPort === null) throw new Error("pglite-worker.ts only runs as a worker thread");
const port = parentPort;
const { directory } = workerData as PgliteWorkerData;

// Postgres' own lock file. The directory is ours (data-dir-lock.ts), and a kill while Postgres starts may leave the file empty: with that it
// never starts again.
rmSync(join(directory, "postmaster.pid"), { force: true });
const database = new PGlite(directory);
// Whatever fails here or below ends the worker, and with it the connection: its client opens another.
await database.waitReady;

const read = requestReader();
port.on("message", (bytes: Uint8Array) => {
  for (const request of read(bytes)) {
    if (request.kind === "startup") port.postMessage(GREETING);
    // An error that Postgres answers with is in the bytes; one that is thrown is a fault of the engine under it.
    else if (request.kind === "statement") port.postMessage(database.execProtocolRawSync(request.bytes));
    else void database.close().then(() => port.close());
  }
});
