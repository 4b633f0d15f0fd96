/** Waits for a promise only so long: what the caller can do without the store must not hang on it. */
import { InFlight, type Placed } from "../base/in-flight.ts";
import { StoreError } from "./store-error.ts";

type Wait = Placed & { until: number; giveUp(): void };

/** One timer for all that wait: a request waits twice, and its own timers would cost more than what they guard. */
const waiting = new InFlight<Wait>();
const LOOK_MS = 20;
let timer: NodeJS.Timeout | undefined;

function look(): void {
  const now = performance.now();
  waiting.forEach((wait) => {
    if (wait.until > now) return;
    waiting.delete(wait);
    wait.giveUp();
  });
  if (waiting.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/** Rejects with StoreError `unavailable` after `ms`, late by some milliseconds, never early. The work itself goes on. */
export function withPatience<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const wait: Wait = {
      place: -1,
      until: performance.now() + ms,
      giveUp: () => reject(new StoreError("unavailable", `the database did not answer within ${ms} ms`)),
    };
    waiting.add(wait);
    timer ??= setInterval(look, LOOK_MS);
    work.then(
      (result) => {
        waiting.delete(wait);
        resolve(result);
      },
      (error: unknown) => {
        waiting.delete(wait);
        reject(error as Error);
      },
    );
  });
}
