/** How many tokens an engine's KV cache holds from one request to the next, where it says so: vLLM in its metrics, SGLang in what it tells of its server. */
import { type Fields, asCount } from "./json-fields.ts";
import { type MetricSample, readMetrics } from "./metrics-text.ts";
import type { EngineKind } from "./profile.ts";
import { sglangServer } from "./sglang-server.ts";

/** Each resolves with undefined where the engine has no such answer. */
export type KvQuestions = { metrics(): Promise<string | undefined>; json(path: string): Promise<Fields | undefined> };

export async function kvCapacity(kind: EngineKind, ask: KvQuestions): Promise<number | undefined> {
  switch (kind) {
    case "vllm":
      return vllmCapacity((await ask.metrics()) ?? "");
    case "sglang":
      return asCount((await sglangServer(ask.json))?.["max_total_num_tokens"]);
    default:
      return undefined;
  }
}

/** The metric whose labels have vLLM's cache settings, for each of its data-parallel engines. */
export const VLLM_CACHE_CONFIG = "vllm:cache_config_info";

/** What all data-parallel engines hold together. */
function vllmCapacity(metrics: string): number | undefined {
  let tokens = 0;
  for (const { labels } of readMetrics(metrics, new Set([VLLM_CACHE_CONFIG]))) {
    const size = vllmCacheSize(labels);
    if (labels["enable_prefix_caching"] === "False" || size === undefined) return undefined;
    tokens += size;
  }
  return asCount(tokens);
}

/**
 * Tokens that one engine's cache holds; undefined where it holds none, or has not measured it yet. Models with several kinds of layers have
 * blocks of several sizes: there the engine's own sum is the true one, which older versions do not tell.
 */
export function vllmCacheSize(labels: MetricSample["labels"]): number | undefined {
  const blocks = Number(labels["num_gpu_blocks"]) * Number(labels["block_size"]);
  return asCount(Number(labels["kv_cache_size_tokens"])) ?? asCount(blocks);
}
