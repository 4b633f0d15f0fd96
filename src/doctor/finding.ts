/** What the doctor says of one thing that it looked at. */

/** The checks in the order in which they are made: a stable name for programs, and one for people. */
export const CHECKS = {
  engine: "engine",
  models: "model",
  window: "context window",
  tools_in_prompt: "tools stand in the prompt",
  late_system: "system messages inside the conversation",
  reasoning_parser: "reasoning and text are told apart",
  tool_parser: "tool-call parser",
  tool_parser_fits: "the parser reads what this model writes",
  strict_tools: "strict tools are held to their schema",
  text_under_none: "text is kept under tool_choice none",
  tool_choice_auto: "calls, tool_choice auto",
  tool_choice_required: "calls, tool_choice required",
  tool_choice_named: "calls, tool_choice named",
  prefix_caching: "prefix caching",
  cached_tokens: "cached tokens are reported",
  kv_capacity: "room in the KV cache",
  running_usage: "usage runs along with the stream",
} as const;
export type CheckId = keyof typeof CHECKS;

/** `unknown`: it could not be told; `found` says why. */
export type Result = "ok" | "warning" | "bad" | "unknown";

export type Finding = {
  id: CheckId;
  result: Result;
  /** What was found, in plain words; the engine's own where it refused. */
  found: string;
  /** What to do about it: the flag to start the engine with, or the setting. */
  advice?: string;
};

const WORST_FIRST: readonly Result[] = ["bad", "warning", "unknown", "ok"];

export function worstOf(results: readonly Result[]): Result {
  return WORST_FIRST.find((result) => results.includes(result)) ?? "ok";
}

/** Makes the findings of one check. */
export function findingsOf(id: CheckId): Readonly<Record<Result, (found: string, advice?: string) => Finding>> {
  const make =
    (result: Result) =>
    (found: string, advice?: string): Finding => ({ id, result, found, ...(advice !== undefined && { advice }) });
  return { ok: make("ok"), warning: make("warning"), bad: make("bad"), unknown: make("unknown") };
}
