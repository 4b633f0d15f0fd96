/**
 * Another time for processes that tests start, changed while they run: Debian's libfaketime between them and the system's clock. What measures
 * durations (the monotonic clock) stays true.
 */
import { chmodSync, globSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const LIBRARY = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1")[0];
/** How long processes go by the offset that they have read. */
const READ_S = 1;

/** Whether tests can have one. In CI they must: there it throws instead of saying no. */
export function fakedClockAvailable(): boolean {
  if (LIBRARY === undefined && process.env["CI"])
    throw new Error("no other clock for the tests: install Debian's package libfaketime");
  return LIBRARY !== undefined;
}

export class FakedClock {
  readonly #directory = mkdtempSync(join(tmpdir(), "evener-clock-"));
  readonly #aheadMs: Record<string, number>;
  #offsetMs = 0;

  /** `aheadMs`: by name, how much later than the others it is for some processes. */
  constructor(aheadMs: Record<string, number> = {}) {
    this.#aheadMs = { "": 0, ...aheadMs };
    // Postgres runs as a user of its own.
    chmodSync(this.#directory, 0o755);
    this.#write();
  }

  /** The environment of a process that is to go by it; one of the names, or none. */
  env(name = ""): Record<string, string> {
    if (LIBRARY === undefined) throw new Error("Debian's package libfaketime is not installed");
    return {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#file(name),
      FAKETIME_CACHE_DURATION: String(READ_S),
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Resolves when all go by it, some seconds later: of those it says `at` at the end. */
  async set(at: Date): Promise<void> {
    // They count whole seconds, of which the first may be nearly over: twice as long, lest a busy one still goes by the time before.
    const settled = 2 * READ_S * 1_000 + 200;
    this.#offsetMs = at.getTime() - (Date.now() + settled);
    this.#write();
    await setTimeout(settled);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #write(): void {
    for (const [name, aheadMs] of Object.entries(this.#aheadMs)) {
      const seconds = (this.#offsetMs + aheadMs) / 1_000;
      // In one step: what is read of a file that is being written is no time at all.
      const written = `${this.#file(name)}.new`;
      writeFileSync(written, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds).toFixed(3)}\n`);
      renameSync(written, this.#file(name));
    }
  }

  #file(name: string): string {
    return join(this.#directory, `offset${name}`);
  }
}
