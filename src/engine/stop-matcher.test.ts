import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";
import { StopMatcher } from "./stop-matcher.ts";

/** Gives the pieces one after another: what was shown, and what ended it. */
function run(stops: string[], pieces: string[]): { text: string; stop: string | undefined } {
  const matcher = new StopMatcher(stops);
  let text = "";
  for (const piece of pieces) {
    const match = matcher.push(toByteText(piece));
    text += match.text;
    if (match.stop !== undefined) return { text: fromByteText(asByteText(text)), stop: match.stop };
  }
  return { text: fromByteText(asByteText(text + matcher.flush())), stop: undefined };
}

describe("StopMatcher", () => {
  test.each<[string, string[], string[], string, string | undefined]>([
    ["a sequence in one piece", ["END"], ["one END two"], "one ", "END"],
    ["one cut between pieces", ["END"], ["one E", "N", "D two"], "one ", "END"],
    ["a beginning that comes to nothing", ["END"], ["EN", "ENEND"], "ENEN", "END"],
    ["the first of several", ["b", "a"], ["xay b"], "x", "a"],
    ["a beginning at the end", ["END"], ["the E"], "the E", undefined],
    ["beyond ASCII", ["ß→"], ["Gruß", "→ x"], "Gru", "ß→"],
    ["empty sequences", [""], ["text"], "text", undefined],
  ])("%s", (_what, stops, pieces, text, stop) => {
    expect(run(stops, pieces)).toEqual({ text, stop });
  });

  test("any split gives what the whole text gives", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "ö") });
    fc.assert(
      fc.property(
        fc.array(
          letters.filter((text) => text !== ""),
          { minLength: 1, maxLength: 3 },
        ),
        fc.array(letters),
        (stops, pieces) => {
          const whole = pieces.join("");
          const places = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
          const shown = places.length > 0 ? whole.slice(0, Math.min(...places)) : whole;
          const got = run(stops, pieces);
          expect(got.stop === undefined).toBe(places.length === 0);
          // Cut into pieces, a shorter sequence may be complete before a longer one that began earlier.
          if (stops.length === 1) expect(got.text).toBe(shown);
          else expect(got.text.startsWith(shown)).toBe(true);
        },
      ),
    );
  });

  test("are found among more than fit on a stack", () => {
    const many = Array.from({ length: 200_000 }, (_, index) => `<${index}>`);
    expect(new StopMatcher(many).push(toByteText("one <77777> two"))).toEqual({ text: "one ", stop: "<77777>" });
  });
});
