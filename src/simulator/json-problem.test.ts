import * as fc from "fast-check";
import { expect, test } from "vitest";
import { findJsonProblem } from "./json-problem.ts";

// What Python 3.11's json.loads says of each.
test.each([
  ["", "Expecting value", 0],
  ['{"model": "test-model", ', "Expecting property name enclosed in double quotes", 24],
  ['{"model": nope}', "Expecting value", 10],
  ['{"a" 1}', "Expecting ':' delimiter", 5],
  ['{"a": 1 "b": 2}', "Expecting ',' delimiter", 8],
  ["[1, 2", "Expecting ',' delimiter", 5],
  ["[1] 2", "Extra data", 4],
  ['["abc', "Unterminated string starting at", 1],
  ['["a\nb"]', "Invalid control character at", 3],
  ['["\\x"]', "Invalid \\escape", 2],
])("%j: %s at %d", (text, message, position) => {
  expect(findJsonProblem(text)).toEqual({ message, position });
});

test("finds no problem in JSON, and one in whatever JSON.parse does not take", () => {
  const almost = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom("", "}", '"', ",", "\\", "x"))
    .map(([json, at, extra]) => {
      const cut = at % (json.length + 1);
      return json.slice(0, cut) + extra + json.slice(cut + (at % 2));
    });
  fc.assert(
    fc.property(almost, (text) => {
      // Python takes these names for numbers.
      fc.pre(!/NaN|Infinity/.test(text));
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      expect(findJsonProblem(text) === undefined).toBe(valid);
    }),
    { numRuns: 1000 },
  );
});
