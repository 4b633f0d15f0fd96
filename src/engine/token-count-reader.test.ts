import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CountReader } from "./token-count-reader.ts";

function read(text: string, piece = text.length + 1): number | undefined {
  const reader = new CountReader();
  for (let at = 0; at < text.length; at += piece) reader.push(Buffer.from(text.slice(at, at + piece)));
  return reader.count;
}

describe("CountReader", () => {
  it("reads the count of each engine's answer, whatever its size and the reads", () => {
    const ids = fc.array(fc.nat(200_000), { maxLength: 3_000 });
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 700 }), (tokens, piece) => {
        const count = tokens.length;
        for (const answer of [
          { count, max_model_len: 99, tokens, token_strs: null },
          { tokens, count, max_model_len: 99 },
          { tokens },
          { input_tokens: count },
        ])
          expect(read(JSON.stringify(answer), piece)).toBe(count);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    "",
    "{}",
    "[]",
    "[1,2]",
    `{"error":"count is 5"}`,
    `{"tokens":[1,2`,
    `{"tokens":null}`,
    `{"count":"5"}`,
    "<html>",
  ])("has none for %j", (text) => {
    expect(read(text)).toBeUndefined();
  });
});
