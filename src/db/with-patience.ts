/** Waits for promises only so long: what the caller can do without the store must not hang on it. */
import { InFlight, type Placed } from "../base/in-flight.ts";
import { StoreError } from "./store-error.ts";

type Wait = Placed & { until: number; giveUp(error: StoreError): void };

/** How often it is looked who has waited long enough, milliseconds. */
const LOOK_MS = 20;

/** One timer for all that wait: a request waits twice, and timers of its own would cost more than what they guard. */
export class Patience {
  readonly #waiting = new InFlight<Wait>();
  #timer: NodeJS.Timeout | undefined;

  /** Rejects with StoreError `unavailable` after `ms`, late by some milliseconds, never early. The work itself goes on. */
  wait<T>(work: Promise<T>, ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait: Wait = { place: -1, until: performance.now() + ms, giveUp: reject };
      this.#waiting.add(wait);
      this.#timer ??= setInterval(this.#look, LOOK_MS);
      work.then(
        (result) => {
          this.#waiting.delete(wait);
          resolve(result);
        },
        (error: unknown) => {
          this.#waiting.delete(wait);
          reject(error as Error);
        },
      );
    });
  }

  /** Rejects for all that wait. */
  giveUp(error: StoreError): void {
    this.#waiting.forEach((wait) => this.#giveUp(wait, error));
  }

  readonly #look = (): void => {
    const now = performance.now();
    this.#waiting.forEach((wait) => {
      if (wait.until <= now) this.#giveUp(wait, new StoreError("unavailable", "the database did not answer in time"));
    });
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  };

  #giveUp(wait: Wait, error: StoreError): void {
    this.#waiting.delete(wait);
    wait.giveUp(error);
  }
}

const patience = new Patience();

/** As `Patience.wait`, for those who need not be told otherwise that the database is away. */
export function withPatience<T>(work: Promise<T>, ms: number): Promise<T> {
  return patience.wait(work, ms);
}
