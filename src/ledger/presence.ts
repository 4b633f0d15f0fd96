/** Knows whether the database answers: who finds it away says so here once, and one probe asks until it is back. */
import { InFlight, type Placed } from "../base/in-flight.ts";

export type AwayWatcher = Placed & { onAway(): void };

export type Presence = {
  readonly away: boolean;
  /** `performance.now()` of when it came back, or of the start. */
  readonly since: number;
  /** The database did not answer. */
  fail(): void;
  /** Tells it once when the database is next found away; not at once, if it is now. */
  watch(watcher: AwayWatcher): void;
  unwatch(watcher: AwayWatcher): void;
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
  const watching = new InFlight<AwayWatcher>();

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
      watching.forEach((watcher) => {
        watching.delete(watcher);
        watcher.onAway();
      });
    },
    watch: (watcher) => watching.add(watcher),
    unwatch: (watcher) => void watching.delete(watcher),
    back: () => (away && !closed ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve()),
    close() {
      closed = true;
      clearTimeout(timer);
      wakeAll();
    },
  };
}
