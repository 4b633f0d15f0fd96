/** Reads token usage out of a chunk, in each spelling that engines use. */
import type { UsageReport } from "../conversation/usage.ts";

type Fields = { readonly [key: string]: unknown };

/** An engine's `usage` object; undefined when it is none. */
export function readUsage(usage: unknown): UsageReport | undefined {
  const fields = asFields(usage);
  if (fields === undefined) return undefined;
  const prompt = asFields(fields["prompt_tokens_details"]);
  const completion = asFields(fields["completion_tokens_details"]);
  return {
    prompt: tokens(fields["prompt_tokens"]),
    completion: tokens(fields["completion_tokens"]),
    // Details: vLLM, SGLang, llama.cpp. At the top level: DeepSeek's own server.
    cached: tokens(prompt?.["cached_tokens"]) ?? tokens(fields["prompt_cache_hit_tokens"]),
    // vLLM's `created_cache_tokens` is left out on purpose: decisions/0061-no-cache-writes.md.
    // Details: vLLM. At the top level: SGLang.
    reasoning: tokens(completion?.["reasoning_tokens"]) ?? tokens(fields["reasoning_tokens"]),
  };
}

/** llama.cpp's `timings`, on every chunk with `timings_per_token`: there the prompt is split into cached and processed. */
export function readTimings(timings: unknown): UsageReport | undefined {
  const fields = asFields(timings);
  if (fields === undefined) return undefined;
  const cached = tokens(fields["cache_n"]);
  const processed = tokens(fields["prompt_n"]);
  return {
    prompt: processed === undefined ? undefined : processed + (cached ?? 0),
    completion: tokens(fields["predicted_n"]),
    cached,
  };
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null ? (value as Fields) : undefined;
}

function tokens(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
