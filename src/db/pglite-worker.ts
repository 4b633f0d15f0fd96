/**
 * Runs PGlite in a worker thread: one message a statement, answered in order. On the main thread a statement would stop the
 * event loop for as long as it runs (up to 240 ms was measured).
 */
import { PGlite, type Results, types } from "@electric-sql/pglite";
import { parentPort, workerData } from "node:worker_threads";
import {
  OPENED,
  type PgliteFailure,
  type PgliteReply,
  type PgliteRequest,
  type PgliteWorkerData,
} from "./pglite-messages.ts";
import { parseInt8 } from "./type-parsers.ts";

if (parentPort === null) throw new Error("pglite-worker.ts only runs as a worker thread");
const port = parentPort;
const { directory } = workerData as PgliteWorkerData;

function reply(message: PgliteReply): void {
  port.postMessage(message);
}

/** Passes on what tells errors apart. Never `detail` or `params`: they hold the row's values. */
function toFailure(error: unknown): PgliteFailure {
  const { message, code, constraint, table } = error as Record<string, unknown>;
  return {
    message: typeof message === "string" ? message : String(error),
    fatal: typeof code !== "string",
    ...(typeof code === "string" && { code }),
    ...(typeof constraint === "string" && { constraint }),
    ...(typeof table === "string" && { table }),
  };
}

function send(id: number, results: Results[]): void {
  const last = results.at(-1);
  const affected = last?.affectedRows ?? 0;
  reply({ id, rows: last?.rows ?? [], affected, command: last?.command ?? "" });
}

async function answer(database: PGlite, request: PgliteRequest): Promise<void> {
  try {
    if ("close" in request) {
      await database.close();
      send(request.id, []);
      port.close();
    } else if (request.params.length === 0) {
      send(request.id, await database.exec(request.sql));
    } else {
      send(request.id, [await database.query(request.sql, [...request.params])]);
    }
  } catch (error) {
    const failure = toFailure(error);
    reply({ id: request.id, failure });
    // Not an answer of Postgres but a fault of the engine under it: nothing that it says later can be trusted.
    if (failure.fatal) port.close();
  }
}

async function serve(): Promise<void> {
  const database = new PGlite(directory, { parsers: { [types.INT8]: parseInt8 } });
  await database.waitReady;
  port.on("message", (request: PgliteRequest) => void answer(database, request));
  send(OPENED, []);
}

await serve().catch((error: unknown) => {
  reply({ id: OPENED, failure: { ...toFailure(error), fatal: true } });
  port.close();
});
