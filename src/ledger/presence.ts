/** Knows whether the database answers: who finds it away says so here once, and one probe asks until it is back. */
import { StoreError } from "../db/store-error.ts";
import { Patience } from "../db/with-patience.ts";

export type Presence = {
  readonly away: boolean;
  /** `performance.now()` of when it came back, or of the start. */
  readonly since: number;
  /** The database did not answer. */
  fail(): void;
  /**
   * The work's result. Rejects with StoreError `unavailable` after `ms`, as soon as anybody finds the database away, or, if it is away
   * already, a moment later.
   */
  answered<T>(work: Promise<T>, ms: number): Promise<T>;
  /** Resolves when it answers again, at once if it does now; also when this is closed. */
  back(): Promise<void>;
  close(): void;
};

const PAUSES_MS = [50, 200, 500, 1_000];

/** `ping` resolves when the database answers; `onBack` is called each time it does again. */
export function createPresence(ping: () => Promise<void>, onBack: () => void): Presence {
  let away = false;
  let since = performance.now();
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let waiting: (() => void)[] = [];
  const patience = new Patience();

  const wakeAll = (): void => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };

  const probe = (attempt: number): void => {
    timer = setTimeout(
      () => {
        ping().then(
          () => {
            away = false;
            since = performance.now();
            if (!closed) onBack();
            wakeAll();
          },
          () => {
            if (!closed) probe(attempt + 1);
          },
        );
      },
      PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)],
    );
    timer.unref();
  };

  return {
    get away() {
      return away;
    },
    get since() {
      return since;
    },
    fail() {
      if (away || closed) return;
      away = true;
      probe(0);
      patience.giveUp(new StoreError("unavailable", "the database is away"));
    },
    answered: (work, ms) => patience.wait(work, away ? 0 : ms),
    back: () => (away && !closed ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve()),
    close() {
      closed = true;
      clearTimeout(timer);
      wakeAll();
    },
  };
}
