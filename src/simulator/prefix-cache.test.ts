import * as fc from "fast-check";
import { expect, test } from "vitest";
import { blockHashes, createPrefixCache, hashTokens, saltHash } from "./prefix-cache.ts";

const tokensOf = (...values: number[]): Float64Array => Float64Array.from(values);
const counting = (length: number): Float64Array => Float64Array.from({ length }, (_, index) => 1000 + index);

test("only full blocks are cached, and the last token is always computed", () => {
  const cache = createPrefixCache(4, 100);
  const lookup = (length: number): number => cache.lookup(counting(length), blockHashes(counting(length), 4, 0));
  expect(lookup(10)).toBe(0);
  cache.add(blockHashes(counting(10), 4, 0));
  expect([lookup(3), lookup(4), lookup(5), lookup(8), lookup(9), lookup(10), lookup(13)]).toEqual([
    0, 0, 4, 4, 8, 8, 8,
  ]);
});

test("two prompts share exactly the blocks before their first difference", () => {
  const tokens = fc.array(fc.integer({ min: 256, max: 2 ** 40 }), { maxLength: 60 });
  fc.assert(
    fc.property(tokens, tokens, tokens, (shared, left, right) => {
      const [first, second] = [tokensOf(...shared, ...left), tokensOf(...shared, ...right)];
      const cache = createPrefixCache(4, 1000);
      cache.add(blockHashes(first, 4, 0));
      let same = 0;
      while (same < first.length && first[same] === second[same]) same++;
      const blocks = Math.min(Math.floor(same / 4), Math.floor((second.length - 1) / 4));
      expect(cache.lookup(second, blockHashes(second, 4, 0))).toBe(Math.max(0, blocks) * 4);
    }),
  );
});

test("another salt shares nothing", () => {
  const cache = createPrefixCache(4, 100);
  cache.add(blockHashes(counting(20), 4, saltHash("tenant a")));
  expect(cache.lookup(counting(20), blockHashes(counting(20), 4, saltHash("tenant b")))).toBe(0);
  expect(cache.lookup(counting(20), blockHashes(counting(20), 4, saltHash("tenant a")))).toBe(16);
});

test("beyond its size it forgets what was used longest ago, of one prompt the end first", () => {
  const cache = createPrefixCache(4, 3);
  const [a, b] = [tokensOf(1, 2, 3, 4, 5, 6, 7, 8, 9), tokensOf(11, 12, 13, 14, 15, 16, 17, 18, 19)];
  const [hashesA, hashesB] = [blockHashes(a, 4, 0), blockHashes(b, 4, 0)];
  cache.add(hashesA);
  cache.add(hashesB);
  expect(cache.size).toBe(3);
  expect([cache.lookup(b, hashesB), cache.lookup(a, hashesA)]).toEqual([8, 4]);
  // The look-up was a use: now the end of `b` goes first.
  cache.add(hashesA);
  expect([cache.lookup(b, hashesB), cache.lookup(a, hashesA)]).toEqual([4, 8]);
  cache.clear();
  expect([cache.size, cache.lookup(b, hashesB)]).toEqual([0, 0]);
});

test("hashes can be built on: a prompt's tail needs only the hash before it", () => {
  const tokens = counting(11);
  const hashes = blockHashes(tokens, 4, saltHash("a"));
  expect(blockHashes(tokens.subarray(4), 4, hashes[0]!)).toEqual(hashes.slice(1));
  expect(hashTokens(tokens, 4, 8, hashes[0]!)).toBe(hashes[1]);
  expect(hashTokens(tokens, 8, 11, hashes[1]!)).not.toBe(hashTokens(tokens, 8, 10, hashes[1]!));
});
