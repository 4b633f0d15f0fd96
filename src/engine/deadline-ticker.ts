/**
 * The clock of running engine calls: one timer for all of them, so that a streamed chunk costs a property write and not a
 * timer. Deadlines are met late by up to a few ticks, never early.
 *
 * It is this process's own running time: a stall of the event loop, or of the machine, passes on it as two ticks, for
 * what an engine sent meanwhile has not been read yet and its silence is not known.
 */
import { InFlight, type Placed } from "../base/in-flight.ts";

/** How far apart the looks at the clock are, milliseconds. */
export const TICK_MS = 50;

/** How much one tick may add, and so how old a time read from the clock can be, milliseconds. */
export const LARGEST_STEP_MS = 2 * TICK_MS;

export interface Watched extends Placed {
  /** Looks whether a limit has passed; `now` is the ticker's. */
  checkDeadline(now: number): void;
}

export class DeadlineTicker {
  /** Milliseconds, only good for differences. */
  now = 0;
  #lastTick = 0;
  readonly #watched = new InFlight<Watched>();
  #timer: NodeJS.Timeout | undefined;

  watch(call: Watched): void {
    this.#watched.add(call);
    if (this.#timer !== undefined) return;
    this.#lastTick = performance.now();
    // The calls' sockets keep the process alive; the clock alone should not.
    this.#timer = setInterval(this.#tick, TICK_MS).unref();
  }

  unwatch(call: Watched): void {
    this.#watched.delete(call);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    const time = performance.now();
    this.now += Math.min(time - this.#lastTick, LARGEST_STEP_MS);
    this.#lastTick = time;
    this.#watched.forEach((call) => call.checkDeadline(this.now));
  };
}
