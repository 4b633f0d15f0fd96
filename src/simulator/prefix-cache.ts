/**
 * The prefix cache: which leading blocks of a prompt have been computed before. Knows block hashes and their age.
 *
 * As in vLLM, only full blocks are cached, a block's hash covers all tokens before it (and the cache salt), and a prompt
 * that is cached to its last token still computes its last block, because the first new token needs it.
 */
import type { Tokens } from "./tokenizer.ts";

export type PrefixCache = {
  /** Tokens of the prompt that are cached already; marks their blocks as just used. */
  lookup(prompt: Tokens, hashes: readonly number[]): number;
  /** Adds blocks, and forgets the least recently used beyond the cache's size. */
  add(hashes: readonly number[]): void;
  /** Blocks held. */
  readonly size: number;
  clear(): void;
};

export function createPrefixCache(blockSize: number, maxBlocks: number): PrefixCache {
  // A Map keeps insertion order; the oldest entry is the least recently used, because every use inserts anew.
  const blocks = new Map<number, true>();
  const touch = (hash: number): void => {
    blocks.delete(hash);
    blocks.set(hash, true);
  };
  return {
    lookup(prompt, hashes) {
      const most = Math.min(hashes.length, Math.floor((prompt.length - 1) / blockSize));
      let hit = 0;
      while (hit < most && blocks.has(hashes[hit]!)) touch(hashes[hit++]!);
      return hit * blockSize;
    },
    add(hashes) {
      for (const hash of hashes) touch(hash);
      for (const oldest of blocks.keys()) {
        if (blocks.size <= maxBlocks) break;
        blocks.delete(oldest);
      }
    },
    get size() {
      return blocks.size;
    },
    clear() {
      blocks.clear();
    },
  };
}

/** One 53-bit hash for each full block, each covering everything before it. Two salts share nothing. */
export function blockHashes(tokens: Tokens, blockSize: number, salt: string): number[] {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let i = 0; i < salt.length; i++) {
    low = Math.imul(low ^ salt.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ salt.charCodeAt(i), 0x85ebca6b);
  }
  const hashes: number[] = [];
  for (let end = blockSize; end <= tokens.length; end += blockSize) {
    for (let i = end - blockSize; i < end; i++) {
      const token = tokens[i]!;
      const upper = Math.floor(token / 0x1_0000_0000);
      low = Math.imul(low ^ token, 0x9e3779b1);
      low = Math.imul(low ^ (low >>> 15) ^ upper, 0x85ebca6b);
      high = Math.imul(high ^ (token + upper * 31), 0xc2b2ae35);
      high ^= high >>> 13;
    }
    hashes.push((high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0));
  }
  return hashes;
}
