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
  // A block is of no use without those before it, so of blocks that are used together the last counts as the oldest.
  const touch = (hashes: readonly number[], count: number): void => {
    for (let i = count - 1; i >= 0; i--) {
      blocks.delete(hashes[i]!);
      blocks.set(hashes[i]!, true);
    }
  };
  return {
    lookup(prompt, hashes) {
      const most = Math.min(hashes.length, Math.floor((prompt.length - 1) / blockSize));
      let hit = 0;
      while (hit < most && blocks.has(hashes[hit]!)) hit++;
      touch(hashes, hit);
      return hit * blockSize;
    },
    add(hashes) {
      touch(hashes, hashes.length);
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

/** What the hash of a prompt's first block is built on. Two salts share nothing. */
export function saltHash(salt: string): number {
  let low = 0x811c9dc5;
  let high = 0x1b873;
  for (let i = 0; i < salt.length; i++) {
    low = Math.imul(low ^ salt.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ salt.charCodeAt(i), 0x85ebca6b);
  }
  return joinHash(low, high);
}

/** One 53-bit hash for each full block, each built on the one before it: the first on `before`. */
export function blockHashes(tokens: Tokens, blockSize: number, before: number): number[] {
  const hashes: number[] = [];
  let hash = before;
  for (let end = blockSize; end <= tokens.length; end += blockSize) {
    hash = hashTokens(tokens, end - blockSize, end, hash);
    hashes.push(hash);
  }
  return hashes;
}

/** The hash of the tokens from `start` to `end`, built on that of what stands before them. */
export function hashTokens(tokens: Tokens, start: number, end: number, before: number): number {
  let low = before | 0;
  let high = Math.floor(before / 0x1_0000_0000);
  for (let i = start; i < end; i++) {
    const token = tokens[i]!;
    const upper = Math.floor(token / 0x1_0000_0000);
    low = Math.imul(low ^ token, 0x9e3779b1);
    low = Math.imul(low ^ (low >>> 15) ^ upper, 0x85ebca6b);
    high = Math.imul(high ^ (token + upper * 31), 0xc2b2ae35);
    high ^= high >>> 13;
  }
  return joinHash(low, high);
}

function joinHash(low: number, high: number): number {
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0);
}
