import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UsageFold, type UsageReport } from "./usage.ts";

/** What an engine truly did, token by token. */
const truth = fc
  .record({ prompt: fc.integer({ min: 1, max: 200_000 }), completion: fc.integer({ min: 1, max: 30_000 }) })
  .chain((counts) =>
    fc.record({
      prompt: fc.constant(counts.prompt),
      completion: fc.constant(counts.completion),
      cached: fc.nat(counts.prompt),
      reasoning: fc.nat(counts.completion),
    }),
  );

/** What of it a chunk reports: how far the answer was then, and which figures are left out, or are 0. */
const glimpse = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  figures: fc.record({
    prompt: fc.constantFrom("said", "absent", "zero"),
    completion: fc.constantFrom("said", "absent", "zero"),
    cached: fc.constantFrom("said", "absent", "zero"),
    reasoning: fc.constantFrom("said", "absent", "zero"),
  }),
});

type Truth = typeof truth extends fc.Arbitrary<infer T> ? T : never;
type Glimpse = typeof glimpse extends fc.Arbitrary<infer T> ? T : never;

function reportOf(real: Truth, { at, figures }: Glimpse): UsageReport {
  const shown = (name: keyof Truth, value: number): number | undefined =>
    figures[name] === "absent" ? undefined : figures[name] === "zero" ? 0 : value;
  return {
    prompt: shown("prompt", real.prompt),
    cached: shown("cached", real.cached),
    completion: shown("completion", Math.round(real.completion * at)),
    reasoning: shown("reasoning", Math.round(real.reasoning * at)),
  };
}

const whole: Glimpse = {
  at: 1,
  figures: { prompt: "said", completion: "said", cached: "said", reasoning: "said" },
};

describe("usage that an engine reports in any way", () => {
  it("is billed exactly where one report was whole, whatever else came, in any order, however often", () => {
    fc.assert(
      fc.property(
        truth,
        fc.array(glimpse, { maxLength: 12 }),
        fc.nat(12),
        fc.nat(3),
        (real, glimpses, place, repeats) => {
          const reports = glimpses.map((each) => reportOf(real, each));
          for (let n = 0; n <= repeats; n++) reports.splice(place, 0, reportOf(real, whole));
          const fold = new UsageFold();
          for (const report of reports) fold.report(report);
          // The gateway's own guess, which is for engines that never say.
          fold.estimate({ prompt: 7, completion: 3 });
          expect(fold.usage).toEqual({
            inputUncached: real.prompt - real.cached,
            cacheRead: real.cached,
            cacheWrite: 0,
            output: real.completion,
            reasoning: real.reasoning,
          });
          expect(fold.countedBy).toBe("engine");
        },
      ),
    );
  });

  it("never falls, nor exceeds what was done, and keeps its classes apart", () => {
    fc.assert(
      fc.property(truth, fc.array(glimpse, { maxLength: 12 }), (real, glimpses) => {
        const fold = new UsageFold();
        let before = fold.usage;
        for (const each of glimpses) {
          fold.report(reportOf(real, each));
          const { usage } = fold;
          expect(usage.output).toBeGreaterThanOrEqual(before.output);
          expect(usage.output).toBeLessThanOrEqual(real.completion);
          expect(usage.reasoning).toBeLessThanOrEqual(usage.output);
          expect(usage.inputUncached + usage.cacheRead + usage.cacheWrite).toBe(fold.prompt);
          expect([0, real.prompt]).toContain(fold.prompt);
          before = usage;
        }
      }),
    );
  });

  it("is of the last attempt alone", () => {
    const fold = new UsageFold();
    fold.report({ prompt: 9, cached: 4, completion: 5, reasoning: 2 });
    fold.estimate({ prompt: 8, completion: 6 });
    fold.restart();
    expect(fold.usage).toEqual(new UsageFold().usage);
    expect([fold.promptReported, fold.cachedReported, fold.countedBy]).toEqual([false, false, "gateway"]);
  });

  it("is the gateway's own count where it is missing, and never nothing", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 30_000 }), fc.boolean(), (prompt, completion, zeros) => {
        const fold = new UsageFold();
        fold.estimate({ prompt, completion: Math.ceil(completion / 2) });
        if (zeros) fold.report({ prompt: 0, completion: 0 });
        fold.estimate({ prompt, completion });
        expect(fold.usage).toMatchObject({ inputUncached: prompt, output: completion });
        if (prompt > 0) expect(fold.countedBy).toBe("gateway");
      }),
    );
  });
});
