import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { replicaOf } from "./__fixtures__/replica.ts";
import type { EngineInfo, EngineState } from "./engine-pool.ts";
import { affinityOf, replicaOrder, sameKindFirst } from "./pick-replica.ts";
import { keptSilent, spoke } from "./replica-silence.ts";

const state = (name: string, up = true, inFlight = 0): EngineState<EngineInfo> => replicaOf(name, { up, inFlight });

test("a session keeps its replica, whatever order the engines are listed in", () => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 2, max: 6 }), (session, count) => {
      const states = Array.from({ length: count }, (_, index) => state(`engine-${index}`));
      const first = replicaOrder(states, session)[0]?.address.name;
      expect(replicaOrder(states.toReversed(), session)[0]?.address.name).toBe(first);
    }),
  );
});

test("losing one replica moves only its own sessions", () => {
  const states = ["a", "b", "c"].map((name) => state(name));
  for (let n = 0; n < 50; n++) {
    const session = `session-${n}`;
    const before = replicaOrder(states, session)[0]?.address.name;
    const after = replicaOrder(states.slice(0, 2), session)[0]?.address.name;
    if (before !== "c") expect(after).toBe(before);
  }
});

test("every replica is offered once; those that are down last, the overloaded behind the free", () => {
  const states = [state("down", false), state("busy", true, 9), state("free", true, 0)];
  for (const session of ["s1", "s2", "s3", undefined]) {
    expect(replicaOrder(states, session).map((each) => each.address.name)).toEqual(["free", "busy", "down"]);
  }
});

test("a session leaves its replica where that one holds a quarter more than the average, and no earlier", () => {
  const own = state("a");
  const states = [own, state("b")];
  const session = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"].find(
    (each) => replicaOrder(states, each)[0] === own,
  );
  own.inFlight = 1;
  expect(names(replicaOrder(states, session))).toEqual(["a", "b"]);
  own.inFlight = 2;
  expect(names(replicaOrder(states, session))).toEqual(["b", "a"]);
});

test("tenants who chose the same session id share nothing; without a session nothing is kept together", () => {
  expect(affinityOf("tenant-1", "s")).not.toBe(affinityOf("tenant-2", "s"));
  expect(affinityOf("tenant-1", undefined)).toBeUndefined();
});

const names = (states: EngineState<EngineInfo>[]) => states.map((each) => each.address.name);

test("one that kept silent twice in a row is asked behind the others, longer each time, until it speaks", () => {
  const hung = state("hung");
  const states = [hung, state("busy", true, 9), state("down", false)];
  const clock = vi.spyOn(performance, "now").mockReturnValue(1_000);
  const after = (ms: number) => {
    clock.mockReturnValue(performance.now() + ms);
    return names(replicaOrder(states, undefined));
  };
  try {
    keptSilent(hung.silence, performance.now());
    expect(after(0)).toEqual(["hung", "busy", "down"]);
    keptSilent(hung.silence, performance.now());
    expect(after(0)).toEqual(["busy", "hung", "down"]);
    // Of the same while: sent before it was known.
    keptSilent(hung.silence, performance.now());
    expect(after(29_999)).toEqual(["busy", "hung", "down"]);
    expect(after(1)).toEqual(["hung", "busy", "down"]);
    keptSilent(hung.silence, performance.now());
    expect(after(59_999)).toEqual(["busy", "hung", "down"]);
    for (let n = 0; n < 9; n++) {
      after(300_000);
      keptSilent(hung.silence, performance.now());
    }
    expect(after(299_999)).toEqual(["busy", "hung", "down"]);
    spoke(hung.silence);
    expect(after(0)).toEqual(["hung", "busy", "down"]);
  } finally {
    clock.mockRestore();
  }
});

test("one that keeps silent is asked behind the overloaded too", () => {
  const hung = state("hung");
  keptSilent(hung.silence, performance.now());
  keptSilent(hung.silence, performance.now());
  expect(names(replicaOrder([hung, state("busy", true, 9), state("free")], "s"))).toEqual(["free", "busy", "hung"]);
});

test("a body that is made goes to its own kind of engine first, if one is up", () => {
  const of = (name: string, kind: string, up = true) => ({ ...state(name, up), info: { kind, models: [] } });
  const order = [of("a", "sglang"), of("b", "vllm"), of("c", "vllm", false)];
  expect(names(sameKindFirst(order, "vllm"))).toEqual(["b", "a", "c"]);
  expect(names(sameKindFirst([of("a", "sglang"), of("c", "vllm", false)], "vllm"))).toEqual(["a", "c"]);
});
