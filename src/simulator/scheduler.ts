/** Continuous batching: who runs, who waits, and whose prefill is being computed. */
import type { Live } from "./live.ts";

export type Scheduler = {
  readonly running: number;
  readonly waiting: number;
  /** Most that ever ran at once. */
  readonly peakRunning: number;
  /** Waits for a place in the batch. False when the request ended while it waited; then there is nothing to release. */
  admit(live: Live, priority: number): Promise<boolean>;
  /** Gives the place back and starts the next request. Exactly once for each admission. */
  release(): void;
  /** Computes uncached prompt tokens; prefills of several requests share the engine, so they go one after another. */
  prefill(live: Live, tokens: number): Promise<boolean>;
};

type Waiting = { priority: number; start: () => void };
type Prefill = { ms: number; done: () => void };

/** `prefillSpeed` in tokens a second; 0 takes no time. Under `priority`, the lower number goes first, as in vLLM. */
export function createScheduler(maxNumSeqs: number, prefillSpeed: number, policy: "fcfs" | "priority"): Scheduler {
  const queue: Waiting[] = [];
  const prefills: Prefill[] = [];
  let running = 0;
  let peakRunning = 0;
  let prefillTimer: NodeJS.Timeout | undefined;

  const start = (): void => {
    running++;
    peakRunning = Math.max(peakRunning, running);
  };

  const nextPrefill = (): void => {
    const first = prefills[0];
    if (!first) return;
    prefillTimer = setTimeout(() => {
      prefills.shift();
      first.done();
      nextPrefill();
    }, first.ms);
  };

  return {
    get running() {
      return running;
    },
    get waiting() {
      return queue.length;
    },
    get peakRunning() {
      return peakRunning;
    },
    async admit(live, priority) {
      if (live.ended !== undefined) return false;
      if (running < maxNumSeqs && queue.length === 0) {
        start();
        return true;
      }
      return live.wait((done) => {
        const entry: Waiting = {
          priority: policy === "priority" ? priority : 0,
          start: () => {
            start();
            done();
          },
        };
        const after = queue.findIndex((other) => other.priority > entry.priority);
        queue.splice(after < 0 ? queue.length : after, 0, entry);
        return () => void queue.splice(queue.indexOf(entry), 1);
      });
    },
    release() {
      running--;
      if (running < maxNumSeqs) queue.shift()?.start();
    },
    async prefill(live, tokens) {
      if (live.ended !== undefined) return false;
      if (prefillSpeed === 0 || tokens === 0) return true;
      return live.wait((done) => {
        const entry: Prefill = { ms: (tokens / prefillSpeed) * 1000, done };
        prefills.push(entry);
        if (prefills.length === 1) nextPrefill();
        return () => {
          const place = prefills.indexOf(entry);
          prefills.splice(place, 1);
          if (place > 0) return;
          clearTimeout(prefillTimer);
          nextPrefill();
        };
      });
    },
  };
}
