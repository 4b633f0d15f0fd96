/** Writes usage in OpenAI's form, where the prompt's count includes the cached tokens. */
import type { UsageFold } from "../../conversation/usage.ts";

/** A JSON object, ready to be put into a chunk or an answer. */
export function encodeUsage(fold: UsageFold): string {
  const { cacheRead, output, reasoning } = fold.usage;
  const { prompt } = fold;
  return (
    `{"prompt_tokens":${prompt},"completion_tokens":${output},"total_tokens":${prompt + output},` +
    `"prompt_tokens_details":{"cached_tokens":${cacheRead}},"completion_tokens_details":{"reasoning_tokens":${reasoning}}}`
  );
}
