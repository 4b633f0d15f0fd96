/**
 * The conversations of one engine, beside the room that its KV cache has for them.
 *
 * An engine forgets what was least recently used, and knows nothing of sessions: with a few more of them than fit, each pushes out the one
 * that comes next, and all are prefilled from their beginning on every turn. What the engine reports as cached, compared with what it had
 * computed of the same conversation, shows that. From then on room is given by seniority: a conversation has room beside those whose run
 * began before its own.
 */

/** Who speaks: a session's main loop, or one of its subagents. */
export type Conversation = {
  readonly tenant: string;
  readonly session: string;
  /** Undefined: the main loop. */
  readonly agent: string | undefined;
};

/** A conversation as an engine holds it. Only `KvRoom` writes it. */
export type Resident = {
  readonly id: string;
  /** Its run's number, in the order in which they began on all engines: a run is all requests from one before which it was not live. */
  run: number;
  /** Prompt and answer of its last request. */
  tokens: number;
  /** What the engine had cached of its first prompt: the head that it has in common with others. Undefined before the first answer. */
  shared: number | undefined;
  running: number;
  /** How long it had been silent when its last request came, ms. */
  silentMs: number;
  /** When it last began or ended a request, ms. */
  usedAt: number;
};

/** What an answer tells of its engine's cache. */
export type CacheReport = {
  engine: string;
  prompt: number;
  output: number;
  /** Undefined where the engine does not say. */
  cached: number | undefined;
  /** What it had computed of this prompt before; undefined where that is not known. */
  computed: number | undefined;
  /** When the first event of the answer came, ms of the room's clock; undefined if none did. */
  firstAt: number | undefined;
};

export type KvFigures = {
  /** Tokens; undefined where the engine does not say. */
  capacity: number | undefined;
  live: number;
  liveTokens: number;
};

/** Conversations remembered of one engine; the longest unused are forgotten first. */
const MOST_RESIDENTS = 2_000;
/** An eviction is news for this long; then all have room again, and if they still do not fit, that shows within a turn. */
const PRESSURE_MS = 300_000;
/** An answer loses more than this share of what was computed only to an eviction: a template that drops old reasoning costs less. */
const MOST_LOST = 1 / 3;
/** Nor is it called one below this: engines cache whole blocks, some of them long ones. */
const LEAST_LOST_TOKENS = 2_000;

/** Who waits so many times what an eviction costs has waited for nothing: where prefill is cheap, all may as well run beside each other. */
const MOST_WAITS = 3;
const COST_SMOOTHING = 4;

export class KvRoom {
  /** Tokens; undefined where the engine does not say. */
  capacity: number | undefined;
  readonly #liveMs: number;
  /** The longest unused first. */
  readonly #residents = new Map<string, Resident>();
  /** What an eviction costs whom it meets, ms to the first token: a moving average. */
  #costMs = 0;
  #evictedAt = -Infinity;
  #live: { at: number; residents: readonly Resident[] } | undefined;

  /** A conversation is live while it is answered, and for `liveMs` after that: its client is running the tools that were called. */
  constructor(liveMs: number) {
    this.#liveMs = liveMs;
  }

  /** The run to which a request belongs that comes now; undefined if it begins one. */
  runOf(conversation: Conversation, now: number): number | undefined {
    const resident = this.#residents.get(idOf(conversation));
    return resident !== undefined && this.#isLive(resident, now) ? resident.run : undefined;
  }

  /** Whether a conversation of this many tokens leaves those whose run began before its own what they have cached, or need not. */
  hasRoomFor(conversation: Conversation, tokens: number, run: number, now: number): boolean {
    if (this.capacity === undefined || !this.isUnderPressure(now)) return true;
    const id = idOf(conversation);
    const main = idOf({ ...conversation, agent: undefined });
    let seniors = 0;
    for (const resident of this.#liveResidents(now)) {
      if (resident.run >= run || resident.id === id) continue;
      // A main loop that called a subagent does not go on before that has answered.
      if (resident.id === main && resident.running === 0) continue;
      seniors += ownTokens(resident);
    }
    return seniors === 0 || seniors + tokens <= this.capacity;
  }

  /** What a conversation that asks now takes beside the head that others use as well: what it took before, else what `guess` says. */
  tokensOf(conversation: Conversation, guess: () => number): number {
    const resident = this.#residents.get(idOf(conversation));
    return resident === undefined ? guess() : ownTokens(resident);
  }

  /** Whether the engine was seen to forget in the last minutes. */
  isUnderPressure(now: number): boolean {
    return now - this.#evictedAt < PRESSURE_MS;
  }

  /** Longest that it is worth to wait for room, ms. */
  get worthMs(): number {
    return this.#costMs * MOST_WAITS;
  }

  /** A request of the conversation goes to the engine; `leave` is to be called for it once. */
  enter(conversation: Conversation, tokens: number, run: number, now: number): Resident {
    const id = idOf(conversation);
    const known = this.#residents.get(id);
    const resident = known ?? { id, run, tokens, shared: undefined, running: 0, silentMs: 0, usedAt: now };
    resident.run = run;
    resident.silentMs = now - resident.usedAt;
    resident.running++;
    this.#use(resident, now);
    if (known === undefined && this.#residents.size > MOST_RESIDENTS) this.#forgetOne();
    return resident;
  }

  /**
   * The request has ended; `report` where this engine answered it. Tells if the answer shows that the conversation had been forgotten; `first`
   * if that is the first sign of pressure in the last minutes.
   */
  leave(
    resident: Resident,
    enteredAt: number,
    report: CacheReport | undefined,
    now: number,
  ): { first: boolean } | undefined {
    resident.running--;
    this.#use(resident, now);
    if (report === undefined || report.prompt === 0) return undefined;
    resident.tokens = report.prompt + report.output;
    resident.shared ??= report.computed === undefined ? (report.cached ?? 0) : 0;
    if (!wasEvicted(report)) return undefined;
    // One that comes back after so long may be forgotten on any engine.
    if (resident.silentMs >= PRESSURE_MS) return { first: false };
    const first = !this.isUnderPressure(now);
    this.#evictedAt = now;
    const costMs = (report.firstAt ?? now) - enteredAt;
    this.#costMs = first ? costMs : this.#costMs + (costMs - this.#costMs) / COST_SMOOTHING;
    return { first };
  }

  figures(now: number): KvFigures {
    const live = this.#liveResidents(now);
    const liveTokens = live.reduce((sum, resident) => sum + ownTokens(resident), 0);
    return { capacity: this.capacity, live: live.length, liveTokens };
  }

  /** Kept for who asks next in the same moment: all that wait are looked at together. */
  #liveResidents(now: number): readonly Resident[] {
    if (this.#live?.at !== now)
      this.#live = { at: now, residents: [...this.#residents.values()].filter((one) => this.#isLive(one, now)) };
    return this.#live.residents;
  }

  #isLive(resident: Resident, now: number): boolean {
    return resident.running > 0 || now - resident.usedAt < this.#liveMs;
  }

  #use(resident: Resident, now: number): void {
    this.#live = undefined;
    resident.usedAt = now;
    this.#residents.delete(resident.id);
    this.#residents.set(resident.id, resident);
  }

  #forgetOne(): void {
    for (const resident of this.#residents.values()) {
      if (resident.running > 0) continue;
      this.#residents.delete(resident.id);
      return;
    }
  }
}

/** Whether the engine had forgotten a good part of the conversation. */
function wasEvicted({ cached, computed }: CacheReport): boolean {
  if (cached === undefined || computed === undefined) return false;
  const lost = computed - cached;
  return lost >= LEAST_LOST_TOKENS && lost > computed * MOST_LOST;
}

/** What it takes beside the head that others use as well. */
function ownTokens({ tokens, shared = 0 }: Resident): number {
  return Math.max(0, tokens - shared);
}

function idOf({ tenant, session, agent = "" }: Conversation): string {
  return `${tenant}\0${session}\0${agent}`;
}
