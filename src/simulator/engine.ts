/** The state of one simulated engine: its batch, its prefix cache, its script, its counters, and whether it lives. */
import { createLive, type Live } from "./live.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { EngineOptions } from "./options.ts";
import { createPrefixCache, type PrefixCache } from "./prefix-cache.ts";
import { createScheduler, type Scheduler } from "./scheduler.ts";
import { createScriptRunner, type ScriptRunner } from "./script-runner.ts";
import type { Script } from "./script.ts";

export type Engine = {
  readonly options: EngineOptions;
  readonly scheduler: Scheduler;
  readonly cache: PrefixCache;
  readonly script: ScriptRunner;
  readonly metrics: Metrics;
  readonly fingerprint: string;
  readonly dead: boolean;
  /** Hexadecimal digits that follow from the seed and from how many were asked for before. */
  nextId(digits: 16 | 32): string;
  /** A request has come; it must be given back with `leave`. */
  enter(): Live;
  leave(live: Live): void;
  /** Every request ends as vLLM's do when its engine core dies; until `revive`, all that come are refused. */
  die(): void;
  revive(): void;
  /** Resolves when no request is left. */
  idle(): Promise<void>;
};

export function createEngine(options: EngineOptions, script: Script | undefined): Engine {
  const lives = new Set<Live>();
  const idle: (() => void)[] = [];
  const word = randomWords(options.seed);
  const hex = (): string => word().toString(16).padStart(8, "0");
  let dead = false;
  return {
    options,
    scheduler: createScheduler(options.maxNumSeqs, options.prefillSpeed, options.schedulingPolicy),
    cache: createPrefixCache(options.blockSize, options.kvBlocks),
    script: createScriptRunner(script),
    metrics: createMetrics(),
    fingerprint: `vllm-0.32.0-${hex()}`,
    get dead() {
      return dead;
    },
    nextId: (digits) => (digits === 16 ? hex() + hex() : hex() + hex() + hex() + hex()),
    enter() {
      const live = createLive();
      lives.add(live);
      return live;
    },
    leave(live) {
      lives.delete(live);
      if (lives.size === 0) for (const resolve of idle.splice(0)) resolve();
    },
    die() {
      dead = true;
      for (const live of lives) live.end("engine-dead");
    },
    revive() {
      dead = false;
      this.cache.clear();
    },
    async idle() {
      if (lives.size > 0) await new Promise<void>((resolve) => void idle.push(resolve));
    },
  };
}

/** 32-bit words of a mulberry32 generator. */
function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
