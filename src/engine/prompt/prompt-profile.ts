/**
 * What an engine's model needs to be true of its prompts: constants a model, never a request.
 *
 * They are constants because a prompt is only cached while its beginning stays byte for byte the same: a setting that
 * flips between two requests of a session prefills the whole session again.
 */

/** How the template is told whether to think, and how hard. */
export type ThinkingSwitch =
  /** The model thinks, or does not, whatever is asked. */
  | { by: "none" }
  /**
   * A boolean of the chat template, e.g. `enable_thinking` (Qwen, GLM, Nemotron) or `thinking` (DeepSeek, Kimi, Granite).
   * `unset` is what a client gets that says nothing; absent leaves it to the template's own default.
   */
  | { by: "flag"; name: string; unset?: boolean }
  /**
   * `reasoning_effort`, which templates such as gpt-oss's write into the head of the prompt. `levels` are those the
   * template knows, weakest first; a client's other words are mapped by `effortLevel`. `unset` as above.
   */
  | { by: "effort"; levels: readonly string[]; unset?: string }
  /** As the two above, but clients are not asked: one constant for everybody, so that no client's change costs a prefill. */
  | { by: "constant"; templateArguments: { readonly [name: string]: boolean | number | string } };

export type PromptProfile = {
  /**
   * Where earlier reasoning goes back to: the field that the engine's server reads, the text itself (in `<think>` tags),
   * or nowhere. vLLM 0.32 reads only `reasoning` and hands it to templates under both names; SGLang and llama.cpp read
   * `reasoning_content`.
   */
  reasoningReplay: "reasoning" | "reasoning_content" | "content" | "none";
  /** Whether the model sees images. Where it does not, a plain note stands in their place. */
  vision: boolean;
  /** `fold` puts system messages inside the conversation into the message before them; `keep` leaves them as they are. */
  lateSystem: "fold" | "keep";
  /** `strict` is written into the prompt with the tool: always, never, or as the client sent it. */
  strictTools: "always" | "never" | "as-sent";
  /** `only-tool`: where a client forces a call of one tool, the engine is told of no other, and that a call is required. */
  namedToolChoice: "object" | "only-tool";
  /** Two user messages in a row are refused by some templates (Mistral, Gemma): `merge` makes one of them. */
  consecutiveUsers: "merge" | "keep";
  /** Moves what names the session out of the system text, so that sessions share their heads: see shared-heads.ts. */
  sharedHeads: boolean;
  thinkingSwitch: ThinkingSwitch;
};

/** Safe with every template known: nothing in it is refused, and the prompt of a session only grows. */
export const defaultPromptProfile: PromptProfile = {
  reasoningReplay: "reasoning",
  vision: false,
  lateSystem: "fold",
  strictTools: "as-sent",
  namedToolChoice: "object",
  consecutiveUsers: "merge",
  sharedHeads: false,
  thinkingSwitch: { by: "flag", name: "enable_thinking" },
};
