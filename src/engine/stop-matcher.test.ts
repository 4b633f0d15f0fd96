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
    ["one within another", ["abcd", "c"], ["xabcd"], "xab", "c"],
    ["two that are complete together", ["c", "abc"], ["xab", "c"], "x", "abc"],
    ["the same one twice", ["END", "END"], ["one END"], "one ", "END"],
    ["empty sequences", [""], ["text"], "text", undefined],
  ])("%s", (_what, stops, pieces, text, stop) => {
    expect(run(stops, pieces)).toEqual({ text, stop });
  });

  test("any split gives what the text gives byte by byte: the sequence that is complete first, the longest of several", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "ö") });
    fc.assert(
      fc.property(
        fc.array(
          letters.filter((text) => text !== ""),
          { minLength: 1, maxLength: 4 },
        ),
        fc.array(letters),
        (stops, pieces) => {
          const whole = pieces.join("");
          const ends = Array.from({ length: whole.length + 1 }, (_, end) => whole.slice(0, end));
          const shown = ends.find((text) => stops.some((stop) => text.endsWith(stop))) ?? whole;
          const ended = stops.filter((stop) => shown.endsWith(stop)).sort((a, b) => b.length - a.length)[0];
          const text = ended === undefined ? shown : shown.slice(0, shown.length - ended.length);
          expect(run(stops, pieces)).toEqual({ text, stop: ended });
        },
      ),
    );
  });

  test("a long one that does not come is held back as far as it looks like it, and then shown", () => {
    const matcher = new StopMatcher([`${"a".repeat(3_000)}b`]);
    for (let n = 0; n < 3_000; n++) expect(matcher.push(toByteText("a"))).toEqual({ text: "", stop: undefined });
    expect(matcher.push(toByteText("a")).text).toBe("a");
    expect(matcher.push(toByteText("c")).text).toBe(`${"a".repeat(3_000)}c`);
    expect(matcher.flush()).toBe("");
  });

  test("what was given back is no beginning any more", () => {
    const matcher = new StopMatcher(["END"]);
    expect(matcher.push(toByteText("one E")).text).toBe("one ");
    expect(matcher.flush()).toBe("E");
    expect(matcher.push(toByteText("ND"))).toEqual({
      text: "ND",
      stop: undefined,
    });
  });

  test("are found among more than fit on a stack", () => {
    const many = Array.from({ length: 200_000 }, (_, index) => `<${index}>`);
    expect(new StopMatcher(many).push(toByteText("one <77777> two"))).toEqual({ text: "one ", stop: "<77777>" });
  });
});
