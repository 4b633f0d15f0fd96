/** Counts the tokens of a prompt: by the engine's own tokenizer and chat template, else by an estimate that says so. */
import { hash } from "node:crypto";
import type { EngineAddress } from "./engine-address.ts";
import type { EngineInfo } from "./engine-info.ts";
import { estimateTokens } from "./estimate-tokens.ts";
import { jsonAnswer } from "./json-fields.ts";
import { ENGINE_PROFILES } from "./profile.ts";
import { CountReader } from "./token-count-reader.ts";
import type { Upstream } from "./upstream.ts";

export type PromptCount = { tokens: number; exact: boolean };

const TIMEOUT_MS = 15_000;
const MOST_REMEMBERED = 2_000;

/** Exact counts by engine and body, least recently used first; agents ask for the same count again and again. */
const remembered = new WeakMap<Upstream, Map<string, number>>();

/**
 * `body` is the JSON of vLLM's `POST /tokenize`: model, messages, tools and template arguments, as they would be sent.
 * Never rejects: where the engine cannot count, is away or refuses, the count is an estimate with `exact: false`.
 */
export async function countPromptTokens(
  upstream: Upstream,
  engine: EngineAddress,
  info: EngineInfo | undefined,
  body: string,
): Promise<PromptCount> {
  if (info?.canTokenize !== true) return { tokens: estimateTokens(body), exact: false };
  const cache = cacheOf(upstream);
  const key = `${engine.url}\n${hash("sha256", body, "base64")}`;
  const known = cache.get(key);
  if (known !== undefined) {
    cache.delete(key);
    cache.set(key, known);
    return { tokens: known, exact: true };
  }
  const tokens =
    ENGINE_PROFILES[info.kind].countPrompt === "input-tokens"
      ? await countByLlamaCpp(upstream, engine, body)
      : await readCount(upstream, engine, "/tokenize", body);
  if (tokens === undefined) return { tokens: estimateTokens(body), exact: false };
  cache.set(key, tokens);
  if (cache.size > MOST_REMEMBERED) cache.delete(cache.keys().next().value ?? key);
  return { tokens, exact: true };
}

/** Newer servers count a chat; older ones render it and tokenize text. */
async function countByLlamaCpp(upstream: Upstream, engine: EngineAddress, body: string): Promise<number | undefined> {
  const counted = await readCount(upstream, engine, "/v1/chat/completions/input_tokens", body);
  if (counted !== undefined) return counted;
  const request = { method: "POST", path: "/apply-template", body, timeoutMs: TIMEOUT_MS, maxBytes: 64 << 20 } as const;
  const prompt = jsonAnswer(await upstream.request(engine, request).catch(() => undefined))?.["prompt"];
  if (typeof prompt !== "string") return undefined;
  return readCount(upstream, engine, "/tokenize", JSON.stringify({ content: prompt, add_special: true }));
}

/** Reads the count out of an answer that may carry every token's id, without keeping it. */
function readCount(upstream: Upstream, engine: EngineAddress, path: string, body: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const reader = new CountReader();
    let status = 0;
    upstream.post(
      engine,
      path,
      body,
      {
        onHead: (s) => (status = s),
        onData: (bytes) => reader.push(bytes),
        onEnd: () => resolve(status === 200 ? reader.count : undefined),
        onError: () => resolve(undefined),
      },
      {
        requestId: "tokenize",
        timeouts: { connectMs: TIMEOUT_MS, firstByteMs: TIMEOUT_MS, idleMs: TIMEOUT_MS, totalMs: TIMEOUT_MS },
      },
    );
  });
}

function cacheOf(upstream: Upstream): Map<string, number> {
  const cache = remembered.get(upstream) ?? new Map<string, number>();
  remembered.set(upstream, cache);
  return cache;
}
