/** Repeats in each response object what the request asked for, as OpenAI's schema requires. */
import type { JsonObject } from "../../conversation/request.ts";

/** Members of a JSON object without its braces, in proper text; `store` is false whatever was asked, since nothing is. */
export function echoOf(body: JsonObject): string {
  const members: JsonObject = {
    instructions: body["instructions"] ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    metadata: body["metadata"] ?? {},
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    previous_response_id: null,
    prompt_cache_key: body["prompt_cache_key"] ?? null,
    reasoning: body["reasoning"] ?? null,
    store: false,
    temperature: body["temperature"] ?? null,
    text: body["text"] ?? { format: { type: "text" } },
    tool_choice: body["tool_choice"] ?? "auto",
    tools: body["tools"] ?? [],
    top_p: body["top_p"] ?? null,
    truncation: "disabled",
  };
  return JSON.stringify(members).slice(1, -1);
}
