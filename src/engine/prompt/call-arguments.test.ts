import * as fc from "fast-check";
import { expect, it } from "vitest";
import { callArguments } from "./call-arguments.ts";

it("leaves the text of an object as it is, byte for byte", () => {
  for (const text of ["{}", '{ "b" : 1, "a":12345678901234567890 }', '{"10":1,"9":2}']) {
    expect(callArguments(text)).toBe(text);
  }
});

it("takes no arguments for an empty object", () => expect(callArguments("")).toBe("{}"));

it.each(["[]", "null", "42", '"{}"', "{", '{"a":', "ls -l"])("shows the model what it wrote: %s", (text) => {
  expect(JSON.parse(callArguments(text))).toEqual({ invalid_arguments: text });
});

it("always gives the text of an object", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const value: unknown = JSON.parse(callArguments(text));
      expect(typeof value === "object" && value !== null && !Array.isArray(value)).toBe(true);
    }),
  );
});
