import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InFlight } from "./in-flight.ts";

const member = (name: number) => ({ name, place: -1 });
const visited = (flight: InFlight<ReturnType<typeof member>>): number[] => {
  const names: number[] = [];
  flight.forEach(({ name }) => names.push(name));
  return names.sort((a, b) => a - b);
};

describe("what is in flight", () => {
  it("is what a Set would hold, whatever comes and goes", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (steps) => {
        const members = Array.from({ length: 10 }, (_, name) => member(name));
        const flight = new InFlight<ReturnType<typeof member>>();
        const set = new Set<number>();
        for (const [comes, name] of steps) {
          if (comes) {
            flight.add(members[name]!);
            set.add(name);
          } else expect(flight.delete(members[name]!)).toBe(set.delete(name));
          expect(flight.size).toBe(set.size);
          expect(visited(flight)).toEqual([...set].sort((a, b) => a - b));
        }
      }),
    );
  });

  it("is visited whole although members end and begin meanwhile", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.array(fc.nat(9)))), (endings) => {
        const members = Array.from({ length: 10 }, (_, name) => member(name));
        const flight = new InFlight<ReturnType<typeof member>>();
        for (const each of members) flight.add(each);
        const ended = new Set<number>();
        const seen = new Set<number>();
        flight.forEach(({ name }) => {
          expect(ended.has(name)).toBe(false);
          seen.add(name);
          for (const [at, others] of endings) {
            if (at !== name) continue;
            for (const other of others) {
              flight.delete(members[other]!);
              ended.add(other);
              flight.add(member(100 + other));
            }
          }
        });
        for (const { name } of members) expect(seen.has(name) || ended.has(name)).toBe(true);
      }),
    );
  });
});
