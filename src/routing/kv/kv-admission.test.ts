import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CacheReport, KvAdmission, type KvSeat, type KvWaiting } from "./kv-admission.ts";
import type { Conversation } from "./kv-room.ts";

const CAPACITY = 100_000;
const WAIT_MS = 60_000;
const LIVE_MS = 10_000;

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

const of = (session: string, agent?: string): Conversation => ({ tenant: "t", session, agent });
/** What it takes until an answer begins that was computed from its beginning. */
const PREFILL_MS = 30_000;

const report = (prompt: number, cached?: number, computed?: number, engine = "e1"): CacheReport => ({
  engine,
  prompt,
  output: 0,
  cached,
  computed,
  firstAt: Date.now(),
});

function admission({ waitMs = WAIT_MS } = {}) {
  const evicted: { engine: string; first: boolean }[] = [];
  const kv = new KvAdmission({
    waitMs,
    liveMs: LIVE_MS,
    onEvicted: (engine, _figures, first) => evicted.push({ engine, first }),
    now: () => Date.now(),
  });
  kv.learned("e1", CAPACITY);
  const ask = (conversation: Conversation, tokens: number, engine = "e1") =>
    kv.enter(engine, conversation, () => tokens);
  return { kv, evicted, ask };
}

const waits = (entry: KvSeat | KvWaiting | undefined): entry is KvWaiting => entry !== undefined && "giveUp" in entry;

function seated(entry: KvSeat | KvWaiting | undefined): KvSeat {
  if (entry === undefined || waits(entry)) throw new Error("has no seat");
  return entry;
}

/** What becomes of those that wait. */
function watch(entry: KvSeat | KvWaiting | undefined): { seat?: KvSeat | undefined; done: boolean } {
  if (!waits(entry)) throw new Error("does not wait");
  const seen: { seat?: KvSeat | undefined; done: boolean } = { done: false };
  void entry.seat.then((seat) => Object.assign(seen, { seat, done: true }));
  return seen;
}

/** An engine that has forgotten a conversation of `tokens`, which is being answered again. */
function underPressure(tokens = 60_000, options: Parameters<typeof admission>[0] = {}) {
  const stand = admission(options);
  seated(stand.ask(of("a"), tokens)).leave(report(tokens, 0));
  const seat = seated(stand.ask(of("a"), tokens));
  vi.setSystemTime(PREFILL_MS);
  expect(seat.leave(report(tokens, 0, tokens))).toBe(true);
  return { ...stand, running: seated(stand.ask(of("a"), tokens)) };
}

describe("seats among an engine's conversations", () => {
  it("are for all, however many, as long as the engine forgets none", () => {
    const { ask, evicted } = admission();
    for (let n = 0; n < 20; n++) seated(ask(of(`s${n}`), 60_000)).leave(report(60_000, 0));
    for (let n = 0; n < 20; n++)
      expect(seated(ask(of(`s${n}`), 61_000)).leave(report(61_000, 59_904, 60_000))).toBe(false);
    expect(evicted).toEqual([]);
  });

  it("are not kept account of where the engine does not say how much it holds", () => {
    const { kv, ask } = admission();
    kv.learned("e1", undefined);
    expect(kv.status).toEqual([]);
    expect(ask(of("a"), 60_000)).toBeUndefined();
  });

  it("are kept for those that go on once it has forgotten one of them", async () => {
    const { ask, evicted, running } = underPressure();
    expect(evicted).toEqual([{ engine: "e1", first: true }]);
    const b = watch(ask(of("b"), 60_000));
    // The one that runs goes on, turn after turn.
    running.leave(report(61_000, 59_904, 60_000));
    await vi.advanceTimersByTimeAsync(LIVE_MS - 1_000);
    const next = seated(ask(of("a"), 62_000));
    expect(b.done).toBe(false);
    next.leave(report(62_000, 60_928, 61_000));
    await vi.advanceTimersByTimeAsync(LIVE_MS - 100);
    expect(b.done).toBe(false);
    await vi.advanceTimersByTimeAsync(300);
    expect(b.seat).toBeDefined();
    // Now it is the first that has to wait.
    expect(waits(ask(of("a"), 62_000))).toBe(true);
  });

  it("are there for a conversation that fits beside those that run", () => {
    const { ask } = underPressure();
    seated(ask(of("b"), 40_000));
    expect(waits(ask(of("c"), 3_000))).toBe(true);
  });

  it("are there at the latest after the longest wait", async () => {
    const { ask } = underPressure();
    const b = watch(ask(of("b"), 60_000));
    await vi.advanceTimersByTimeAsync(WAIT_MS - 100);
    expect(b.done).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(b.seat).toBeDefined();
  });

  it("are there at once where nobody is to wait", () => {
    const { ask } = underPressure(60_000, { waitMs: 0 });
    seated(ask(of("b"), 60_000));
  });

  it("are there when it has lasted three times as long as what an eviction costs: it would not be worth it", async () => {
    const { ask } = admission();
    seated(ask(of("a"), 60_000)).leave(report(60_000, 0));
    const again = seated(ask(of("a"), 60_000));
    vi.setSystemTime(1_000);
    again.leave(report(60_000, 0, 60_000));
    seated(ask(of("a"), 60_000));
    const b = watch(ask(of("b"), 60_000));
    await vi.advanceTimersByTimeAsync(2_900);
    expect(b.done).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(b.seat).toBeDefined();
  });

  it("go to the oldest run first, also where a younger one asked before", () => {
    const { ask } = admission();
    for (const session of ["old", "young"]) seated(ask(of(session), 55_000)).leave(report(55_000, 0));
    seated(ask(of("a"), 55_000)).leave(report(55_000, 0));
    seated(ask(of("a"), 55_000)).leave(report(55_000, 0, 55_000));
    expect(waits(ask(of("young"), 56_000))).toBe(true);
    seated(ask(of("old"), 56_000));
  });

  it("are not taken by a small one before a large one that waits", async () => {
    const { ask, running } = underPressure();
    const large = watch(ask(of("b"), 60_000));
    const small = watch(ask(of("c"), 30_000));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(small.done).toBe(false);
    running.leave();
    await vi.advanceTimersByTimeAsync(LIVE_MS + 100);
    expect(large.seat).toBeDefined();
    expect(small.seat).toBeDefined();
  });

  it("are not taken by who gave up", async () => {
    const { ask, kv, running } = underPressure();
    const entry = ask(of("b"), 60_000);
    const b = watch(entry);
    if (waits(entry)) entry.giveUp();
    await vi.advanceTimersByTimeAsync(0);
    expect(b).toEqual({ seat: undefined, done: true });
    expect(kv.status).toMatchObject([{ waiting: 0 }]);
    running.leave();
    await vi.advanceTimersByTimeAsync(LIVE_MS + 200);
    expect(kv.status).toMatchObject([{ live: 0, liveTokens: 0, waiting: 0 }]);
  });

  it("are not kept from a subagent by the main loop that waits for it", () => {
    const { ask, running } = underPressure();
    running.leave(report(60_000, 59_904, 60_000));
    seated(ask(of("a", "agent-1"), 60_000));
    // Beside it a second one has no room: they would push out each other.
    expect(waits(ask(of("a", "agent-2"), 60_000))).toBe(true);
    // Nor has another session's.
    expect(waits(ask(of("b", "agent-1"), 60_000))).toBe(true);
  });

  it("count the head that is shared with others once", () => {
    const { kv, ask } = admission();
    for (const session of ["a", "b"])
      seated(ask(of(session), 60_000)).leave(report(60_000, session === "a" ? 0 : 50_000));
    expect(kv.status).toMatchObject([{ live: 2, liveTokens: 70_000 }]);
  });

  it("are open to all again minutes after the last time that the engine forgot", async () => {
    const { ask, running } = underPressure();
    await vi.advanceTimersByTimeAsync(300_000);
    seated(ask(of("b"), 60_000));
    running.leave();
  });

  it("are kept for nobody because of a conversation that comes back after long", async () => {
    const { ask, evicted } = admission();
    seated(ask(of("a"), 60_000)).leave(report(60_000, 0));
    await vi.advanceTimersByTimeAsync(300_000);
    expect(seated(ask(of("a"), 60_000)).leave(report(60_000, 0, 60_000))).toBe(true);
    expect(evicted).toEqual([{ engine: "e1", first: false }]);
    seated(ask(of("b"), 60_000));
  });

  it("move with a request that another replica answered", () => {
    const { kv, ask } = admission();
    kv.learned("e2", CAPACITY);
    const seat = seated(ask(of("a"), 60_000));
    expect(seat.leave(report(60_000, 0, undefined, "e2"))).toBe(false);
    expect(seat.leave(report(60_000, 0, undefined, "e2"))).toBe(false);
    vi.setSystemTime(LIVE_MS - 1);
    expect(kv.status).toMatchObject([
      { engine: "e1", live: 1 },
      { engine: "e2", live: 1, liveTokens: 60_000 },
    ]);
  });

  it("tell of a conversation that another replica had forgotten which answered it", () => {
    const { kv, ask, evicted } = admission();
    kv.learned("e2", CAPACITY);
    const seat = seated(ask(of("a"), 60_000));
    vi.setSystemTime(PREFILL_MS);
    expect(seat.leave(report(60_000, 0, 60_000, "e2"))).toBe(true);
    expect(evicted).toEqual([{ engine: "e2", first: true }]);
    // What it cost is known as well: so long others wait for it.
    expect(waits(ask(of("b"), 60_000, "e2"))).toBe(true);
  });

  it("are all given back, and nobody waits longer than the longest wait, whatever comes and goes", async () => {
    const step = fc.record({
      session: fc.nat(5),
      agent: fc.option(fc.nat(2), { nil: undefined }),
      tokens: fc.integer({ min: 2_000, max: 90_000 }),
      evicted: fc.boolean(),
      answered: fc.boolean(),
      givesUp: fc.boolean(),
      pauseMs: fc.nat(30_000),
      runMs: fc.nat(40_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { kv, ask } = admission();
        let longest = 0;
        let open = 0;
        const run = async ({ session, agent, tokens, evicted, answered, givesUp, runMs }: (typeof steps)[number]) => {
          open++;
          const begun = Date.now();
          const entry = ask(of(`s${session}`, agent === undefined ? undefined : `a${agent}`), tokens);
          if (waits(entry) && givesUp) setTimeout(() => entry.giveUp(), runMs);
          const seat = waits(entry) ? await entry.seat : entry;
          longest = Math.max(longest, Date.now() - begun);
          await new Promise((resolve) => setTimeout(resolve, runMs));
          seat?.leave(answered ? report(tokens, evicted ? 0 : tokens, tokens) : undefined);
          open--;
        };
        for (const one of steps) {
          void run(one);
          await vi.advanceTimersByTimeAsync(one.pauseMs);
        }
        await vi.advanceTimersByTimeAsync(WAIT_MS + 40_000 + LIVE_MS + 1_000);
        expect(open).toBe(0);
        expect(longest).toBeLessThanOrEqual(WAIT_MS + 200);
        expect(kv.status).toMatchObject([{ live: 0, liveTokens: 0, waiting: 0 }]);
        // With nobody waiting no timer is left.
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
