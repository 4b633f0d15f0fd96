/** Knows how to talk to one PGlite worker: starts it, pairs answers with questions, and notices its end. */
import { Worker } from "node:worker_threads";
import {
  OPENED,
  type PgliteFailure,
  type PgliteReply,
  type PgliteRequest,
  type PgliteWorkerData,
} from "./pglite-messages.ts";
import { StoreError } from "./store-error.ts";

export type PgliteResult = { rows: unknown[]; affected: number; command: string };

/** One open database. Once `dead`, every call rejects with StoreError `unavailable`; open another. */
export type PgliteSession = {
  readonly dead: boolean;
  run(sql: string, params: readonly unknown[]): Promise<PgliteResult>;
  close(): Promise<void>;
};

/** The worker's file, as it is called in src/ and in dist/. */
const WORKER = new URL(import.meta.url.endsWith(".ts") ? "./pglite-worker.ts" : "./pglite-worker.js", import.meta.url);

type Waiting = { resolve: (result: PgliteResult) => void; reject: (error: unknown) => void };

/** Opens the directory (made if it is missing). The caller holds its lock. */
export async function openPglite(directory: string): Promise<PgliteSession> {
  const workerData: PgliteWorkerData = { directory };
  const worker = new Worker(WORKER, { workerData, name: "evener-pglite" });
  const waiting = new Map<number, Waiting>();
  let lastId = OPENED;
  let end: StoreError | undefined;

  const ended = new Promise<void>((resolve) => {
    const die = (cause?: unknown) => {
      end ??= new StoreError("unavailable", "the embedded database stopped", cause);
      for (const { reject } of waiting.values()) reject(end);
      waiting.clear();
      resolve();
    };
    worker.on("error", die);
    worker.on("exit", () => die());
  });
  worker.on("message", (reply: PgliteReply) => {
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ("failure" in reply) {
      const error = toError(reply.failure);
      if (reply.failure.fatal) end ??= new StoreError("unavailable", "the embedded database failed", error);
      asked?.reject(error);
    } else asked?.resolve(reply);
  });

  const ask = (message: PgliteRequest): Promise<PgliteResult> =>
    new Promise((resolve, reject) => {
      if (end) return reject(end);
      waiting.set(message.id, { resolve, reject });
      // eslint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
      worker.postMessage(message);
    });

  await new Promise<PgliteResult>((resolve, reject) => waiting.set(OPENED, { resolve, reject }));
  return {
    get dead() {
      return end !== undefined;
    },
    run: (sql, params) => ask({ id: ++lastId, sql, params }),
    async close() {
      if (end === undefined) await ask({ id: ++lastId, close: true });
      await ended;
    },
  };
}

/** As pg throws it: an Error with the SQLSTATE as `code`. */
function toError(failure: PgliteFailure): Error {
  if (failure.fatal) return new StoreError("unavailable", `the embedded database failed: ${failure.message}`);
  const { message, code, constraint, table } = failure;
  return Object.assign(new Error(message), { code, constraint, table });
}
