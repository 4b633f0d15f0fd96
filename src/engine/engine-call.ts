/** One request to an engine from dispatch to its single end: its limits, its abort, and the one retry that is safe. */
import { GatewayError } from "../conversation/errors.ts";
import { type DeadlineTicker, LARGEST_STEP_MS, type Watched } from "./deadline-ticker.ts";
import type { Connection, ConnectionUser } from "./http1/connection.ts";
import type { ConnectionPool } from "./http1/connection-pool.ts";
import type { RequestText } from "./http1/request-text.ts";
import type { ResponseHeaders } from "./http1/response-head.ts";
import { isClosedByEngine, type Progress, transportError } from "./transport-error.ts";
import type { EngineTimeouts, UpstreamCall, UpstreamHandlers } from "./upstream.ts";

/** A close that comes later than this after sending was not already on its way when the request was sent, milliseconds. */
const RACE_MS = 1_000;

/** How long an engine may take to end an answer of which everything has come, milliseconds. */
const END_MS = 1_000;

const noHandlers: UpstreamHandlers = { onHead() {}, onData() {}, onEnd() {}, onError() {} };

export class EngineCall implements UpstreamCall, ConnectionUser, Watched {
  place = -1;
  #handlers: UpstreamHandlers;
  readonly #request: RequestText;
  readonly #pool: ConnectionPool;
  readonly #timeouts: EngineTimeouts;
  readonly #ticker: DeadlineTicker;
  readonly #startedAt: number;
  /** When the present phase began or the last bytes came, on the ticker's clock. */
  #since: number;
  /** When the request went out, on the real clock. */
  #sentAt = 0;
  #progress: Progress = "connecting";
  #anyBytes = false;
  #onUsedSocket = false;
  #retried = false;
  #settled = false;
  #paused = false;
  /** When an answer that is complete is to have ended, on the ticker's clock. */
  #endBy = Infinity;
  #connection: Connection | undefined;

  /** `request`: head and body as they go out. */
  constructor(
    pool: ConnectionPool,
    ticker: DeadlineTicker,
    request: RequestText,
    handlers: UpstreamHandlers,
    timeouts: EngineTimeouts,
  ) {
    this.#pool = pool;
    this.#ticker = ticker;
    this.#request = request;
    this.#handlers = handlers;
    this.#timeouts = timeouts;
    ticker.watch(this);
    this.#startedAt = ticker.now;
    this.#since = ticker.now;
    this.#connection = pool.send(request, this);
  }

  abort(): void {
    if (this.#settle() !== undefined) this.#connection?.destroy();
  }

  pause(): void {
    this.#paused = true;
    if (!this.#settled && this.#progress === "answering") this.#connection?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // The silence of the pause was not the engine's.
    this.#since = this.#ticker.now;
    if (!this.#settled && this.#progress === "answering") this.#connection?.resume();
  }

  expectEnd(): void {
    this.resume();
    this.#endBy = this.#ticker.now + END_MS;
  }

  onSent(carried: number): void {
    this.#onUsedSocket = carried > 0;
    this.#progress = "sent";
    this.#since = this.#ticker.now;
    this.#sentAt = performance.now();
  }

  onHead(status: number, headers: ResponseHeaders): void {
    this.#progress = "answering";
    if (this.#paused) this.#connection?.pause();
    this.#handlers.onHead(status, headers);
  }

  onData(bytes: Buffer): void {
    this.#since = this.#ticker.now;
    this.#anyBytes = true;
    this.#handlers.onData(bytes);
  }

  onEnd(): void {
    const handlers = this.#settle();
    try {
      handlers?.onEnd();
    } catch (thrown) {
      handlers?.onError(transportError(thrown, this.#progress));
    }
  }

  onFailed(error: Error): void {
    if (this.#settled) return;
    if (this.#lostTheRace(error)) {
      this.#retried = true;
      this.#progress = "connecting";
      this.#since = this.#ticker.now;
      this.#connection = this.#pool.send(this.#request, this, { fresh: true });
      return;
    }
    this.#settle()?.onError(transportError(error, this.#progress));
  }

  checkDeadline(now: number): void {
    const passed = this.#passedLimit(now);
    if (passed === undefined) return;
    const handlers = this.#settle();
    this.#connection?.destroy();
    handlers?.onError(passed);
  }

  /**
   * A kept connection that the engine was closing while the request went out: the engine has not read it, and sending it
   * again is safe. Everything else might have been processed and is left to the caller to judge.
   */
  #lostTheRace(error: Error): boolean {
    return (
      !this.#retried &&
      this.#onUsedSocket &&
      this.#progress === "sent" &&
      performance.now() - this.#sentAt < RACE_MS &&
      isClosedByEngine(error)
    );
  }

  #passedLimit(now: number): GatewayError | undefined {
    const { connectMs, firstByteMs, idleMs, totalMs } = this.#timeouts;
    // A time read from the clock may be one step old: allow for it rather than be early.
    const quiet = now - this.#since - LARGEST_STEP_MS;
    if (totalMs > 0 && now - this.#startedAt - LARGEST_STEP_MS > totalMs)
      return timeout(`the engine's answer took longer than ${seconds(totalMs)}`);
    if (now - LARGEST_STEP_MS > this.#endBy) return timeout("the engine did not end its answer");
    if (this.#paused) return undefined;
    if (this.#progress === "connecting" && connectMs > 0 && quiet > connectMs)
      return new GatewayError("engine_unreachable", `the engine did not take the connection in ${seconds(connectMs)}`);
    if (this.#progress !== "connecting" && !this.#anyBytes && firstByteMs > 0 && quiet > firstByteMs)
      return timeout(`the engine sent nothing for ${seconds(firstByteMs)}`);
    if (this.#anyBytes && idleMs > 0 && quiet > idleMs)
      return timeout(`the engine fell silent for ${seconds(idleMs)} in the middle of its answer`);
    return undefined;
  }

  /** Ends the call and gives the handlers to whoever ends it, once. */
  #settle(): UpstreamHandlers | undefined {
    if (this.#settled) return undefined;
    this.#settled = true;
    this.#ticker.unwatch(this);
    const handlers = this.#handlers;
    // Bytes that have already been read must reach nobody, and the caller's closures need not live on.
    this.#handlers = noHandlers;
    return handlers;
  }
}

function timeout(message: string): GatewayError {
  return new GatewayError("engine_timeout", message);
}

function seconds(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000} s` : `${ms} ms`;
}
