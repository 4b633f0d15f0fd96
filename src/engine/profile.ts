/** How the known engines differ, as data; docs/engines.md says where each fact comes from. */

export type EngineKind = "vllm" | "sglang" | "llama.cpp" | "ollama" | "lm-studio" | "openai-compatible";

export type EngineProfile = {
  /** What it calls itself in messages to people. */
  name: string;
  /** The `owned_by` that it writes into its own list of models. */
  ownedBy: readonly string[];
  /** Answers 200 only while the engine can generate; undefined where the list of models has to do. */
  healthPath: string | undefined;
  /**
   * Usage while it streams: on every chunk (`stream_options.continuous_usage_stats`, or llama.cpp's
   * `timings_per_token`), or only at the end.
   */
  runningUsage: "continuous_usage_stats" | "timings_per_token" | "none";
  /** Cached prompt tokens: always reported, only with a flag of the engine's command line, or never. */
  cachedTokens: "always" | "with-flag" | "never";
  /** How to count a prompt without running it. */
  countPrompt: "tokenize-messages" | "input-tokens" | "none";
  /** What it does with a prompt that its window does not hold; `cut` takes a part of it away and says nothing. */
  longPrompts: "refused" | "cut";
  /** The delta's field that reasoning streams in; the decoder reads both. */
  reasoningOut: "reasoning" | "reasoning_content";
  /** The assistant message's field that earlier reasoning is read from; undefined where it is dropped. */
  reasoningIn: "reasoning" | "reasoning_content" | undefined;
  /** The request field by which output can be constrained beyond `response_format`. */
  structuredOutput: "structured_outputs" | "regex" | "grammar" | undefined;
  /** Whether `strict` on a tool constrains its arguments. */
  strictTools: boolean;
  /** How a call of one tool is forced: by OpenAI's object, or, where that is dropped or refused, by `required` and no other tool. */
  namedToolChoice: "object" | "only-tool";
};

export const ENGINE_PROFILES: Readonly<Record<EngineKind, EngineProfile>> = {
  vllm: {
    name: "vLLM",
    ownedBy: ["vllm"],
    healthPath: "/health",
    runningUsage: "continuous_usage_stats",
    cachedTokens: "with-flag",
    countPrompt: "tokenize-messages",
    longPrompts: "refused",
    reasoningOut: "reasoning",
    reasoningIn: "reasoning",
    structuredOutput: "structured_outputs",
    strictTools: true,
    namedToolChoice: "object",
  },
  sglang: {
    name: "SGLang",
    ownedBy: ["sglang"],
    healthPath: "/health",
    runningUsage: "continuous_usage_stats",
    cachedTokens: "with-flag",
    countPrompt: "tokenize-messages",
    longPrompts: "refused",
    reasoningOut: "reasoning_content",
    reasoningIn: "reasoning_content",
    structuredOutput: "regex",
    strictTools: true,
    namedToolChoice: "object",
  },
  "llama.cpp": {
    name: "llama.cpp",
    ownedBy: ["llamacpp"],
    healthPath: "/health",
    runningUsage: "timings_per_token",
    cachedTokens: "always",
    countPrompt: "input-tokens",
    longPrompts: "refused",
    reasoningOut: "reasoning_content",
    reasoningIn: "reasoning_content",
    structuredOutput: "grammar",
    strictTools: false,
    namedToolChoice: "only-tool",
  },
  ollama: {
    name: "Ollama",
    ownedBy: ["library"],
    healthPath: undefined,
    runningUsage: "none",
    cachedTokens: "never",
    countPrompt: "none",
    longPrompts: "cut",
    reasoningOut: "reasoning",
    reasoningIn: "reasoning",
    structuredOutput: undefined,
    strictTools: false,
    namedToolChoice: "only-tool",
  },
  "lm-studio": {
    name: "LM Studio",
    ownedBy: ["organization_owner", "organization-owner"],
    healthPath: undefined,
    runningUsage: "none",
    cachedTokens: "never",
    countPrompt: "none",
    longPrompts: "cut",
    reasoningOut: "reasoning_content",
    reasoningIn: undefined,
    structuredOutput: undefined,
    strictTools: false,
    namedToolChoice: "only-tool",
  },
  "openai-compatible": {
    name: "an OpenAI-compatible server",
    ownedBy: [],
    healthPath: undefined,
    runningUsage: "none",
    cachedTokens: "never",
    countPrompt: "none",
    longPrompts: "refused",
    reasoningOut: "reasoning_content",
    reasoningIn: undefined,
    structuredOutput: undefined,
    strictTools: false,
    namedToolChoice: "object",
  },
};
