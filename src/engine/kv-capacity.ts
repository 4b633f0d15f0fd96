/** How many tokens an engine's KV cache holds from one request to the next, where it says so: vLLM in its metrics, SGLang in what it tells of its server. */
import { type Fields, asCount } from "./json-fields.ts";
import { readMetrics } from "./metrics-text.ts";
import type { EngineKind } from "./profile.ts";

/** Each resolves with undefined where the engine has no such answer. */
export type KvQuestions = { metrics(): Promise<string | undefined>; json(path: string): Promise<Fields | undefined> };

export async function kvCapacity(kind: EngineKind, ask: KvQuestions): Promise<number | undefined> {
  switch (kind) {
    case "vllm":
      return vllmCapacity((await ask.metrics()) ?? "");
    case "sglang":
      return asCount(
        ((await ask.json("/server_info")) ?? (await ask.json("/get_server_info")))?.["max_total_num_tokens"],
      );
    default:
      return undefined;
  }
}

const CACHE_CONFIG = "vllm:cache_config_info";

/** All data-parallel engines together. Older versions tell blocks only; where layers differ in what they cache, those are not the whole. */
function vllmCapacity(metrics: string): number | undefined {
  let tokens = 0;
  for (const { labels } of readMetrics(metrics, new Set([CACHE_CONFIG]))) {
    if (labels["enable_prefix_caching"] === "False") return undefined;
    const said = Number(labels["kv_cache_size_tokens"]);
    const blocks = Number(labels["num_gpu_blocks"]) * Number(labels["block_size"]);
    const held = asCount(said) ?? asCount(blocks);
    // What holds no cache, or has not measured it yet, tells "None".
    if (held === undefined) return undefined;
    tokens += held;
  }
  return asCount(tokens);
}
