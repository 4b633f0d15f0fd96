/**
 * The engines and what is known of each: which models it serves, whether it answers. Kept fresh by looking at every engine
 * from time to time, and at once when a request has met a failure.
 */

import { type Silence, newSilence } from "./replica-silence.ts";

/** One engine as configured. `url` is its base URL, with or without /v1. */
export type EngineAddress = { readonly name: string; readonly url: string; readonly apiKey?: string };

/** A model as its engine lists it; the window in tokens. */
export type EngineModel = { readonly id: string; readonly contextWindow?: number | undefined };

/** What a look at a live engine finds. */
export type EngineInfo = {
  readonly kind: string;
  readonly version?: string | undefined;
  readonly models: readonly EngineModel[];
};

export type EngineState<Info extends EngineInfo> = {
  readonly address: EngineAddress;
  /** The last that was learnt; kept while the engine is down, so that its models stay known. */
  info: Info | undefined;
  up: boolean;
  /** Why it is down, for people. */
  problem: string | undefined;
  /** Requests of this gateway that the engine is working on. */
  inFlight: number;
  /** What its requests say of it: see replica-silence.ts. */
  readonly silence: Silence;
};

export type EnginePoolOptions<Info extends EngineInfo> = {
  engines: readonly EngineAddress[];
  probe(address: EngineAddress): Promise<Info>;
  /** Milliseconds between two looks. */
  intervalMs: number;
  /** Called after a look that changed what is known. */
  onChange?(state: EngineState<Info>): void;
};

export class EnginePool<Info extends EngineInfo> {
  readonly states: readonly EngineState<Info>[];
  readonly #options: EnginePoolOptions<Info>;
  readonly #looking = new Map<EngineState<Info>, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EnginePoolOptions<Info>) {
    this.#options = options;
    this.states = options.engines.map((address) => ({
      address,
      info: undefined,
      up: false,
      problem: "not looked at yet",
      inFlight: 0,
      silence: newSilence(),
    }));
  }

  /** Looks at every engine once, then goes on looking in the background. */
  async start(): Promise<void> {
    await Promise.all(this.states.map((state) => this.look(state)));
    this.#timer = setInterval(() => {
      for (const state of this.states) void this.look(state);
    }, this.#options.intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at one engine; looks that overlap are one. Never rejects: what goes wrong is the engine's state. */
  look(state: EngineState<Info>): Promise<void> {
    const running = this.#looking.get(state);
    if (running !== undefined) return running;
    const looking = this.#look(state).finally(() => this.#looking.delete(state));
    this.#looking.set(state, looking);
    return looking;
  }

  async #look(state: EngineState<Info>): Promise<void> {
    const before = JSON.stringify([state.up, state.info]);
    try {
      state.info = await this.#options.probe(state.address);
      state.up = true;
      state.problem = undefined;
    } catch (thrown) {
      state.up = false;
      state.problem = thrown instanceof Error ? thrown.message : String(thrown);
    }
    if (JSON.stringify([state.up, state.info]) !== before) this.#options.onChange?.(state);
  }
}
