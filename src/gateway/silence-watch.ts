/** Notices streams that have been silent for a while, with one timer for all of them. */
import { InFlight, type Placed } from "../base/in-flight.ts";

export type Watched = Placed & {
  /** When something was last sent, `performance.now()`. The owner keeps it up to date. */
  lastSentAt: number;
  /** Called whenever the silence has lasted the interval; the owner sends a sign of life and sets `lastSentAt`. */
  onSilence(): void;
};

export class SilenceWatch {
  readonly #watched = new InFlight<Watched>();
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
    // A quarter of the interval is fine enough: a sign of life comes at most that much late.
    this.#timer ??= setInterval(() => this.#look(), Math.max(10, this.#intervalMs / 4)).unref();
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size === 0 && this.#timer !== undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #look(): void {
    const limit = performance.now() - this.#intervalMs;
    this.#watched.forEach((watched) => {
      if (watched.lastSentAt <= limit) watched.onSilence();
    });
  }
}
