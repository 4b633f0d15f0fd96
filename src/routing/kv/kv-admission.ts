/**
 * Keeps conversations waiting while an engine forgets those that it has: kv-room.ts knows the room, this is the queue before it. The runs that
 * began first go on, so that they finish. Nobody waits longer than `waitMs` or than it is worth, and nobody at all before an engine was seen to forget.
 */
import { type CacheReport, type Conversation, type KvFigures, KvRoom } from "./kv-room.ts";

export type { CacheReport } from "./kv-room.ts";

export type KvAdmissionOptions = {
  /** Longest that a request is kept waiting, ms; 0: never. */
  waitMs: number;
  /** See `KvRoom`. */
  liveMs: number;
  /** Told whenever a conversation's beginning was found to be gone; `first` if there was no pressure until then. */
  onEvicted(engine: string, figures: KvFigures, first: boolean): void;
  /** The clock, ms. */
  now?: () => number;
};

export type KvStatus = KvFigures & { engine: string; waiting: number };

/** A request that goes to an engine, or is there. */
export type KvSeat = {
  /** The request has ended; `answered` where an engine answered it. True if that had forgotten the conversation. Only the first call counts. */
  leave(answered?: CacheReport): boolean;
};

/** A request that waits for its seat. */
export type KvWaiting = {
  /** Undefined once it is given up. */
  readonly seat: Promise<KvSeat | undefined>;
  giveUp(): void;
};

type Asked = {
  conversation: Conversation;
  tokens: number;
  /** See `Resident`. */
  run: number;
};

type Waiter = Asked & {
  until: number;
  sit(seat: KvSeat | undefined): void;
};

type Door = { room: KvRoom; /** The oldest run first. */ waiters: Waiter[] };

/** How often those that wait are looked at, ms. */
const LOOK_MS = 100;

export class KvAdmission {
  readonly #options: KvAdmissionOptions;
  readonly #now: () => number;
  readonly #doors = new Map<string, Door>();
  #runs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KvAdmissionOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** What a look at an engine found: the tokens that its KV cache holds, undefined where it does not say. */
  learned(engine: string, capacity: number | undefined): void {
    this.#door(engine).room.capacity = capacity;
  }

  /** Asks for a seat; `guess` says about how many tokens the prompt has. Undefined where the engine does not say how much it holds. */
  enter(engine: string, conversation: Conversation, guess: () => number): KvSeat | KvWaiting | undefined {
    const door = this.#door(engine);
    const { room, waiters } = door;
    if (room.capacity === undefined) return undefined;
    const now = this.#now();
    const run = room.runOf(conversation, now) ?? ++this.#runs;
    const asked = { conversation, tokens: room.tokensOf(conversation, guess), run };
    const first = waiters[0];
    // An older run that waits goes before it.
    const next = first === undefined || run < first.run;
    const goes = this.#options.waitMs === 0 || (next && room.hasRoomFor(conversation, asked.tokens, run, now));
    return goes ? this.#seat(engine, asked, now) : this.#wait(door, asked, now);
  }

  /** Of the engines that say how much they hold. */
  get status(): KvStatus[] {
    const now = this.#now();
    return [...this.#doors]
      .filter(([, { room }]) => room.capacity !== undefined)
      .map(([engine, { room, waiters }]) => ({ engine, ...room.figures(now), waiting: waiters.length }));
  }

  #door(engine: string): Door {
    let door = this.#doors.get(engine);
    if (door === undefined) this.#doors.set(engine, (door = { room: new KvRoom(this.#options.liveMs), waiters: [] }));
    return door;
  }

  #seat(engine: string, asked: Asked, now: number): KvSeat {
    const { room } = this.#door(engine);
    const resident = room.enter(asked.conversation, asked.tokens, asked.run, now);
    let left = false;
    return {
      leave: (answered) => {
        if (left) return false;
        left = true;
        const here = answered?.engine === engine;
        const evicted = room.leave(resident, now, here ? answered : undefined, this.#now());
        if (evicted !== undefined) this.#options.onEvicted(engine, room.figures(this.#now()), evicted.first);
        if (answered === undefined || here) return evicted !== undefined;
        // Another replica had to answer, and holds the conversation now.
        return this.#seat(answered.engine, asked, now).leave(answered);
      },
    };
  }

  #wait(door: Door, asked: Asked, now: number): KvWaiting {
    const { promise, resolve } = Promise.withResolvers<KvSeat | undefined>();
    const waiter: Waiter = { ...asked, until: now + Math.min(this.#options.waitMs, door.room.worthMs), sit: resolve };
    const place = door.waiters.findIndex((other) => other.run > asked.run);
    door.waiters.splice(place === -1 ? door.waiters.length : place, 0, waiter);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    const giveUp = (): void => {
      door.waiters = door.waiters.filter((other) => other !== waiter);
      resolve(undefined);
    };
    return { seat: promise, giveUp };
  }

  #look(): void {
    const now = this.#now();
    let waiting = 0;
    for (const [engine, door] of this.#doors) {
      // One that does not fit keeps those behind it from going before it.
      let blocked = false;
      door.waiters = door.waiters.filter((waiter) => {
        const { conversation, tokens, run, until, sit } = waiter;
        const goes = until <= now || (!blocked && door.room.hasRoomFor(conversation, tokens, run, now));
        if (goes) sit(this.#seat(engine, waiter, now));
        else blocked = true;
        return !goes;
      });
      waiting += door.waiters.length;
    }
    if (waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
