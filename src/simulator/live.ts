/** One request in flight: whoever waits for it wakes at once when its client leaves or the engine dies. */

export type Ending = "client-gone" | "engine-dead";

export type Live = {
  /** Set once, when the request can no longer be answered. */
  readonly ended: Ending | undefined;
  /**
   * Waits for something; one wait at a time. `register` gets what to call when it has come, and returns how to take the wait back. Gives
   * false when the request ended first.
   */
  wait(register: (done: () => void) => () => void): Promise<boolean>;
  /** Waits for a number of milliseconds. */
  sleep(ms: number): Promise<boolean>;
  end(ending: Ending): void;
};

export function createLive(): Live {
  let ended: Ending | undefined;
  let interrupt: (() => void) | undefined;
  const wait: Live["wait"] = async (register) => {
    if (ended !== undefined) return false;
    return new Promise((resolve) => {
      const cancel = register(() => {
        interrupt = undefined;
        resolve(true);
      });
      interrupt = () => {
        interrupt = undefined;
        cancel();
        resolve(false);
      };
    });
  };
  return {
    get ended() {
      return ended;
    },
    wait,
    sleep: (ms) =>
      wait((done) => {
        // Node's timers count whole milliseconds and take 0 for 1; a shorter wait is only a turn of the event loop.
        if (ms < 1) {
          const turn = setImmediate(done);
          return () => clearImmediate(turn);
        }
        const timer = setTimeout(done, ms);
        return () => clearTimeout(timer);
      }),
    end(ending) {
      ended ??= ending;
      interrupt?.();
    },
  };
}
