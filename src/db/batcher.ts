/**
 * Gathers single calls into array statements without making anybody wait: a batch leaves at once when nothing is on its way, and
 * what comes meanwhile forms the next one.
 */
import { setTimeout } from "node:timers/promises";

export type Batcher<T, R> = {
  /** Resolves with this item's own result. Rejects with the batch's error. */
  add(item: T): Promise<R>;
  /** Items that wait or are on their way. */
  readonly size: number;
  /** Resolves when nothing is left. */
  idle(): Promise<void>;
};

type Entry<T, R> = { item: T; resolve: (result: R) => void; reject: (error: unknown) => void };

export type BatcherOptions = {
  /**
   * Pause between two batches while items come faster than batches go, in milliseconds: fewer and larger batches, where one
   * costs much whatever its size. An item that comes alone never waits.
   */
  lingerMs?: number;
};

/** `run` gets 1 to `most` items and returns a result for each, in their order. */
export function batcher<T, R>(
  run: (items: T[]) => Promise<readonly R[]>,
  most: number,
  { lingerMs = 0 }: BatcherOptions = {},
): Batcher<T, R> {
  let waiting: Entry<T, R>[] = [];
  let running: Promise<void> | undefined;
  let inFlight = 0;

  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.length <= most ? waiting : waiting.slice(0, most);
      waiting = waiting.length <= most ? [] : waiting.slice(most);
      inFlight = batch.length;
      try {
        const results = await run(batch.map((entry) => entry.item));
        batch.forEach((entry, index) => entry.resolve(results[index] as R));
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
      inFlight = 0;
      if (lingerMs > 0 && waiting.length > 0 && waiting.length < most) await setTimeout(lingerMs);
    }
    running = undefined;
  };

  return {
    add(item) {
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        running ??= drain();
      });
    },
    get size() {
      return waiting.length + inFlight;
    },
    idle: () => running ?? Promise.resolve(),
  };
}
