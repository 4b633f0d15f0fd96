/** Starts a PGlite worker and gives pg a socket to it: what pg writes goes to the worker, what the worker answers is read. */
import { Duplex } from "node:stream";
import { Worker } from "node:worker_threads";
import type { PgliteWorkerData } from "./pglite-worker.ts";
import { StoreError } from "./store-error.ts";

/** The worker's file, as it is called in src/ and in dist/. */
const WORKER = new URL(import.meta.url.endsWith(".ts") ? "./pglite-worker.ts" : "./pglite-worker.js", import.meta.url);

type Done = (error?: Error | null) => void;

/** V8's own size for it. */
const YOUNG_MIB = 48;

/** A stream with the few methods of a socket that pg calls. It closes when its worker has ended, so that the directory is free then. */
export class PgliteStream extends Duplex {
  readonly #directory: string;
  readonly #free: Promise<void>;
  #worker: Worker | undefined;

  /** Opens the directory (made if it is missing) once it is `free`. The caller holds its lock. */
  constructor(directory: string, free: Promise<void>) {
    super({ emitClose: true, allowHalfOpen: false });
    this.#directory = directory;
    this.#free = free;
  }

  connect(): this {
    void this.#free.then(() => {
      if (this.destroyed) return;
      this.#worker = this.#start();
      this.emit("connect");
    });
    return this;
  }

  #start(): Worker {
    const workerData: PgliteWorkerData = { directory: this.#directory };
    // The database lives in memory of its own; what the worker itself throws away is little, however much room the gateway has.
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MIB };
    const worker = new Worker(WORKER, { workerData, name: "evener-pglite", resourceLimits });
    worker.on("message", (bytes: Uint8Array) => this.push(bytes));
    worker.on("error", (error) => {
      const why = error instanceof Error ? error.message : String(error);
      this.destroy(new StoreError("unavailable", `the embedded database failed: ${why}`, error));
    });
    worker.on("exit", () => {
      this.#worker = undefined;
      this.push(null);
      this.destroy();
    });
    return worker;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    this.#worker?.ref();
    return this;
  }

  unref(): this {
    this.#worker?.unref();
    return this;
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send(bytes, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  #send(bytes: Uint8Array, done: Done): void {
    // pg's buffers are views of a pool: posted as they are, the whole pool would be copied.
    const own = Uint8Array.from(bytes);
    this.#worker?.postMessage(own, [own.buffer]);
    done();
  }

  /** pg has sent Terminate before it ends: the worker closes the database and goes. */
  override _final(done: Done): void {
    this.#afterExit(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#afterExit(() => done(error));
    void this.#worker?.terminate();
  }

  #afterExit(then: () => void): void {
    if (this.#worker === undefined) then();
    else this.#worker.once("exit", () => then());
  }
}
