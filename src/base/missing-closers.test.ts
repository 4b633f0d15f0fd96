import * as fc from "fast-check";
import { expect, test } from "vitest";
import { missingClosers } from "./missing-closers.ts";

test.each([
  ['{"a":1}', ""],
  ['{"a":"x"', "}"],
  ['{"a":[1,"b"', "]}"],
  ['{"a":[{"b":{} ', "}]}"],
  ['{"a":1 ', "}"],
])("%s lacks %s", (json, closers) => {
  expect(missingClosers(json)).toBe(closers);
});

test.each([
  '{"a":1',
  "{",
  '{"a":[ ',
  '{"a":[{"b":{',
  '{"a":"x',
  '{"a":tr',
  '{"a":true',
  '{"a":',
  '{"a":1,',
  '{"a"',
  "[1",
  "",
  "x",
  '{"a":1}}',
  '{"a":1]',
  '{"a" 1}',
  '{"a":"\n"',
])("%s cannot be closed", (json) => {
  expect(missingClosers(json)).toBeUndefined();
});

test("what is closed parses, and has nothing that was not written", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (value, cut) => {
      const json = JSON.stringify(value);
      expect(missingClosers(json)).toBe("");
      const begun = json.slice(0, cut % (json.length + 1));
      const closers = missingClosers(begun);
      if (closers !== undefined) expect(JSON.stringify(JSON.parse(begun + closers))).toBe(begun + closers);
    }),
  );
});
