/** Starts a PGlite worker and gives pg a socket to it: what pg writes goes to the worker, what the worker answers is read. */
import { Duplex } from "node:stream";
import { Worker } from "node:worker_threads";
import type { PgliteWorkerData } from "./pglite-worker.ts";
import { StoreError } from "./store-error.ts";

/** The worker's file, as it is called in src/ and in dist/. */
const WORKER = new URL(import.meta.url.endsWith(".ts") ? "./pglite-worker.ts" : "./pglite-worker.js", import.meta.url);

/** A stream with the few methods of a socket that pg calls. It closes when its worker has ended, so that the directory is free then. */
export class PgliteStream extends Duplex {
  readonly #worker: Worker;
  #ended = false;

  /** Opens the directory (made if it is missing). The caller holds its lock. */
  constructor(directory: string) {
    super({ emitClose: true, allowHalfOpen: false });
    const workerData: PgliteWorkerData = { directory };
    this.#worker = new Worker(WORKER, { workerData, name: "evener-pglite" });
    this.#worker.on("message", (bytes: Uint8Array) => this.push(bytes));
    this.#worker.on("error", (error) => {
      const why = error instanceof Error ? error.message : String(error);
      this.destroy(new StoreError("unavailable", `the embedded database failed: ${why}`, error));
    });
    this.#worker.on("exit", () => {
      this.#ended = true;
      this.push(null);
      this.destroy();
    });
  }

  connect(): this {
    process.nextTick(() => this.emit("connect"));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    this.#worker.ref();
    return this;
  }

  unref(): this {
    this.#worker.unref();
    return this;
  }

  #send(bytes: Uint8Array): void {
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage(bytes);
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(bytes);
    done();
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    done();
  }

  /** pg has sent Terminate before it ends: the worker closes the database and goes. */
  override _final(done: (error?: Error | null) => void): void {
    if (this.#ended) return done();
    this.#worker.once("exit", () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#ended) return done(error);
    this.#worker.once("exit", () => done(error));
    void this.#worker.terminate();
  }
}
