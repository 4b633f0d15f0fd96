/**
 * Sorts the parameters outside OpenAI's schema into those an engine gets and those it must not.
 *
 * An allow-list, because an engine's request schema is not a public surface: beside sampling it holds other tenants'
 * cache (`cache_salt`), the queue (`priority`), hosts to fetch from (`kv_transfer_params`), templates and code to run.
 * What is on neither list has no effect and is noted. Sources: the request schemas of vLLM 0.32, SGLang and llama.cpp.
 */

/** Sent on as they are. None of them makes one request cost more than its `max_tokens`, or reach beyond itself. */
export const ENGINE_PARAMETERS: ReadonlySet<string> = new Set([
  // sampling
  "allowed_token_ids",
  "bad_words",
  "dry_allowed_length",
  "dry_base",
  "dry_multiplier",
  "dry_penalty_last_n",
  "dry_sequence_breakers",
  "dynatemp_exponent",
  "dynatemp_range",
  "ignore_eos",
  "logit_bias",
  "min_tokens",
  "mirostat",
  "mirostat_eta",
  "mirostat_tau",
  "repeat_last_n",
  "repeat_penalty",
  "repetition_detection",
  "repetition_penalty",
  "stop_token_ids",
  "top_n_sigma",
  "typical_p",
  "xtc_probability",
  "xtc_threshold",
  // constrained decoding
  "ebnf",
  "grammar",
  "guided_choice",
  "guided_grammar",
  "guided_json",
  "guided_regex",
  "regex",
  "structured_outputs",
  // the prompt
  "add_generation_prompt",
  "chat_template_kwargs",
  "continue_final_message",
  "documents",
  // reasoning
  "include_reasoning",
  "separate_reasoning",
  "thinking_token_budget",
  // detokenisation
  "include_stop_str_in_output",
  "no_stop_trim",
  "skip_special_tokens",
  "spaces_between_special_tokens",
]);
