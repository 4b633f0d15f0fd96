import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readMetrics } from "./metrics-text.ts";

const read = (text: string, ...names: string[]) => readMetrics(text, new Set(names));

/** Of a live vLLM 0.32.0, shortened. */
const VLLM = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="test-model"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="test-model"} 0.0
vllm:cache_config_info{_block_size_resolved="True",block_size="128",enable_prefix_caching="True",engine="0",kv_cache_dtype_skip_layers="[]",num_gpu_blocks="364"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.5",model_name="test-model"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="test-model"} 3.0
process_resident_memory_bytes 8.76204032e+08
`;

describe("the text of /metrics", () => {
  it("gives the samples that are wanted, with their labels", () => {
    expect(read(VLLM, "vllm:num_requests_running", "vllm:cache_config_info", "process_resident_memory_bytes")).toEqual([
      { name: "vllm:num_requests_running", labels: { engine: "0", model_name: "test-model" }, value: 2 },
      {
        name: "vllm:cache_config_info",
        labels: {
          _block_size_resolved: "True",
          block_size: "128",
          enable_prefix_caching: "True",
          engine: "0",
          kv_cache_dtype_skip_layers: "[]",
          num_gpu_blocks: "364",
        },
        value: 1,
      },
      { name: "process_resident_memory_bytes", labels: {}, value: 876_204_032 },
    ]);
  });

  it("gives each series of a name", () => {
    const buckets = read(VLLM, "vllm:time_to_first_token_seconds_bucket");
    expect(buckets.map(({ labels, value }) => [labels["le"], value])).toEqual([
      ["0.5", 1],
      ["+Inf", 3],
    ]);
  });

  it("takes no name for another that begins with it", () => {
    expect(read(VLLM, "vllm:num_requests", "vllm:num_requests_running_total")).toEqual([]);
  });

  it.each([
    ["an escaped label", String.raw`a{x="C:\\DIR\n\"q\",}"} 1`, { x: 'C:\\DIR\n"q",}' }, 1],
    ["spaces", 'a { x = "1" , y="2" , } 3 \r', undefined, undefined],
    ["spaces between braces", 'a{ x = "1" , y="2" , } 3 \r', { x: "1", y: "2" }, 3],
    ["no labels in braces", "a{} 3", {}, 3],
    ["a time", "a 1.5 1395066363000", {}, 1.5],
    ["an infinite value", "a +Inf", {}, Infinity],
    ["a small one", "a -inf", {}, -Infinity],
    ["no number", "a NaN", {}, NaN],
    ["no end of line", "a 1", {}, 1],
    ["braces that stay open", 'a{x="1" 3', undefined, undefined],
    ["labels that run together", 'a{x="1"y="2"} 3', undefined, undefined],
    ["a word for a value", "a many", undefined, undefined],
    ["no value", "a", undefined, undefined],
  ])("knows the format: %s", (_, line, labels, value) => {
    expect(read(`${line}\n`, "a")).toEqual(labels === undefined ? [] : [{ name: "a", labels, value }]);
  });

  it("keeps a label of any name", () => {
    const [sample] = read('a{__proto__="x"} 1', "a");
    expect(Object.entries(sample!.labels)).toEqual([["__proto__", "x"]]);
  });

  it("reads no line that is too long, and no more samples than there is room for", () => {
    expect(read(`a{x="${"y".repeat(20_000)}"} 1\na 2\n`, "a").map(({ value }) => value)).toEqual([2]);
    expect(read("a 1\n".repeat(20_000), "a")).toHaveLength(10_000);
  });

  it("takes any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string(), (one, other) => {
        read(`a{x="${one}",${other}`, "a");
        read(`a${other}\n${one}`, "a");
      }),
    );
  });
});
