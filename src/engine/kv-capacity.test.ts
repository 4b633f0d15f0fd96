import { describe, expect, it } from "vitest";
import { kvCapacity } from "./kv-capacity.ts";
import type { EngineKind } from "./profile.ts";

const capacity = (kind: EngineKind, metrics?: string, server?: Record<string, unknown>) =>
  kvCapacity(kind, {
    metrics: async () => metrics,
    json: async (path) => (path === "/get_server_info" ? server : undefined),
  });

/** A part of what vLLM 0.32 wrote. */
const V032 = (engine: number, size: string) =>
  `vllm:cache_config_info{block_size="128",enable_prefix_caching="True",engine="${engine}",kv_cache_size_tokens="${size}",num_gpu_blocks="364"} 1.0\n`;

describe("how much an engine's KV cache holds", () => {
  it("is what vLLM says, all of its engines together", async () => {
    expect(await capacity("vllm", `# HELP x\n${V032(0, "46592")}`)).toBe(46_592);
    expect(await capacity("vllm", V032(0, "46592") + V032(1, "40000"))).toBe(86_592);
  });

  it("is reckoned from blocks where a version says no more", async () => {
    expect(await capacity("vllm", 'vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="100"} 1.0')).toBe(
      1_600,
    );
  });

  it("is unknown where vLLM has not measured it, or keeps its metrics to itself", async () => {
    expect(await capacity("vllm", 'vllm:cache_config_info{block_size="16",num_gpu_blocks="None"} 1.0')).toBeUndefined();
    expect(await capacity("vllm", V032(0, "46592") + V032(1, "None").replace("364", "None"))).toBeUndefined();
    expect(await capacity("vllm", "")).toBeUndefined();
    expect(await capacity("vllm")).toBeUndefined();
  });

  it("is of no use where nothing is kept between requests", async () => {
    expect(await capacity("vllm", V032(0, "46592").replace('"True"', '"False"'))).toBeUndefined();
  });

  it("is told by SGLang's server, and by no other engine", async () => {
    expect(await capacity("sglang", undefined, { max_total_num_tokens: 120_000 })).toBe(120_000);
    expect(await capacity("llama.cpp", V032(0, "46592"), { max_total_num_tokens: 1 })).toBeUndefined();
  });
});
