import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonBalance } from "./json-balance.ts";

describe("JsonBalance", () => {
  it("ends any object exactly at its last brace, whatever the pieces", () => {
    const size = fc.integer({ min: 1, max: 7 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        size,
        fc.integer({ min: 0, max: 4 }),
        (value, step, indent) => {
          const json = JSON.stringify(value, undefined, indent);
          const text = `${json}{"next":1}`;
          const balance = new JsonBalance();
          let taken = 0;
          while (!balance.complete && taken < text.length) {
            const piece = text.slice(taken, taken + step);
            taken += balance.push(piece);
          }
          expect(taken).toBe(json.length);
        },
      ),
    );
  });

  it.each([`{"a":"}`, `{"a":"\\"}"`, `{"a":[1,2}`, `"{}"`, "null", "", "  {"])("is not complete after %s", (text) => {
    const balance = new JsonBalance();
    expect(balance.push(text)).toBe(text.length);
    expect(balance.complete).toBe(false);
  });
});
