/** What `evener doctor --json` says, as tests read it. */

export type DoctorReport = {
  engine: { url: string; kind: string; version: string | null };
  model: string;
  result: string;
  requests: number;
  checks: { id: string; check: string; result: string; found: string; what_to_do: string | null }[];
  tool_calls: {
    tool_choice: string;
    thinking: string;
    streamed: boolean;
    result: string;
    outcome: string;
    found: string;
  }[];
};

export function resultsOf({ checks }: DoctorReport): Record<string, string> {
  return Object.fromEntries(checks.map(({ id, result }) => [id, result]));
}

/** Of an engine with which nothing is wrong, and a model that calls nothing by itself. */
export const GOOD_RESULTS = {
  engine: "ok",
  models: "ok",
  window: "ok",
  tools_in_prompt: "ok",
  late_system: "ok",
  reasoning_parser: "ok",
  tool_parser: "ok",
  tool_parser_fits: "ok",
  strict_tools: "ok",
  text_under_none: "ok",
  tool_choice_auto: "unknown",
  tool_choice_required: "ok",
  tool_choice_named: "ok",
  prefix_caching: "ok",
  cached_tokens: "ok",
  kv_capacity: "ok",
  running_usage: "ok",
};
