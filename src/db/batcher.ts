/**
 * Gathers single calls into array statements without making anybody wait: when nothing is on its way, a batch leaves with all that
 * comes in the same moment, and what comes meanwhile forms the next one. Over more than one connection a batch leaves beside others,
 * once enough have gathered to be worth a statement of their own.
 */

export type Batcher<T, R> = {
  /** Resolves with this item's own result. Rejects with the batch's error. */
  add(item: T): Promise<R>;
  /** Items that wait or are on their way. */
  readonly size: number;
  /** Resolves when nothing is left. */
  idle(): Promise<void>;
};

export type BatcherOptions = {
  /** Most batches on their way at a time; one unless given. */
  lanes?: number;
  /** Items that are worth a statement of their own beside others, or before the end of a pause. */
  enough?: number;
  /**
   * Pause before a batch, in milliseconds, while items come faster than batches go but too few to be worth a statement: fewer and larger
   * batches. Where they come by the dozen, the first of them waits for the others as well. An item that comes alone never waits.
   */
  lingerMs?: number;
};

type Entry<T, R> = { item: T; resolve: (result: R) => void; reject: (error: unknown) => void };

/** Half of a statement's cost is the same for one item and for so many: smaller ones side by side would only cost more. */
const ENOUGH = 24;

/** Behind a batch of so many, a few items this soon are the first of as many again. */
const MANY = 8;
const FEW = 2;
const SOON_MS = 50;

/** `run` gets 1 to `most` items and returns a result for each, in their order. */
export function batcher<T, R>(
  run: (items: T[]) => Promise<readonly R[]>,
  most: number,
  { lanes = 1, enough = ENOUGH, lingerMs = 0 }: BatcherOptions = {},
): Batcher<T, R> {
  let waiting: Entry<T, R>[] = [];
  let running = 0;
  let inFlight = 0;
  let idlers: (() => void)[] = [];
  let looking = false;
  let pause: NodeJS.Timeout | undefined;
  /** How many are waited for during a pause. */
  let wanted = enough;
  let last = { size: 0, at: 0 };

  const send = async (batch: readonly Entry<T, R>[]): Promise<void> => {
    running++;
    inFlight += batch.length;
    last = { size: batch.length, at: performance.now() };
    let end: () => void;
    try {
      const results = await run(batch.map((entry) => entry.item));
      end = () => batch.forEach((entry, index) => entry.resolve(results[index] as R));
    } catch (error) {
      end = () => {
        for (const entry of batch) entry.reject(error);
      };
    }
    running--;
    inFlight -= batch.length;
    // The next batch leaves before anybody does something with the results of this one.
    if (lingerMs > 0 && running === 0 && waiting.length > 0 && waiting.length < enough) linger(enough);
    else sendWaiting();
    end();
    if (running > 0 || waiting.length > 0) return;
    const woken = idlers;
    idlers = [];
    for (const wake of woken) wake();
  };

  const mayLeave = (): boolean =>
    waiting.length > 0 && ((running === 0 && pause === undefined) || (running < lanes && waiting.length >= enough));

  const linger = (until: number): void => {
    wanted = until;
    pause = setTimeout(endPause, lingerMs);
  };

  /** How many to wait for, by what came last; none when the batch may leave. */
  const expected = (): number => {
    if (lingerMs === 0 || running > 0 || waiting.length > FEW || last.size < MANY) return 0;
    return performance.now() - last.at > SOON_MS ? 0 : Math.min(last.size, enough);
  };

  const endPause = (): void => {
    clearTimeout(pause);
    pause = undefined;
    sendWaiting();
  };

  /** Free lanes share what waits, so that while one batch is in the database, the results of another are being used. */
  const nextSize = (): number => {
    const batches = Math.max(1, Math.min(lanes - running, Math.floor(waiting.length / enough)));
    return Math.min(most, Math.ceil(waiting.length / batches));
  };

  const sendWaiting = (): void => {
    while (mayLeave()) {
      const size = nextSize();
      const batch = waiting.length <= size ? waiting : waiting.slice(0, size);
      waiting = waiting.length <= size ? [] : waiting.slice(size);
      void send(batch);
    }
  };

  const look = (): void => {
    looking = false;
    if (pause !== undefined) {
      if (waiting.length >= wanted) endPause();
      return;
    }
    const more = expected();
    if (waiting.length < more) linger(more);
    else sendWaiting();
  };

  return {
    add(item) {
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        // Items come together: the results of one batch, and what follows from them. The first of them must not leave alone; where
        // others are on their way, there is time for all of this turn of the event loop.
        if (!looking) {
          looking = true;
          if (running === 0) queueMicrotask(look);
          else setImmediate(look);
        }
      });
    },
    get size() {
      return waiting.length + inFlight;
    },
    idle: () =>
      running === 0 && waiting.length === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve)),
  };
}
