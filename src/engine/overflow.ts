/**
 * The two errors of a context window that is too small, in the words by which clients recognise them: on the first Claude
 * Code compacts the conversation and goes on, on the second it asks for fewer output tokens at once.
 */
import { GatewayError, type SaidOverflow } from "../conversation/errors.ts";

/** The prompt alone does not fit. Both figures are tokens; `overflow` is what the engine said, if it was asked. */
export function promptTooLong(prompt: number, window: number, overflow?: SaidOverflow): GatewayError {
  return new GatewayError("prompt_too_long", `prompt is too long: ${prompt} tokens > ${window} maximum`, { overflow });
}

/** The prompt fits, but not with the output that was asked for. All figures are tokens. */
function outputTooLong(prompt: number, maxTokens: number, window: number, overflow: SaidOverflow): GatewayError {
  return new GatewayError(
    "prompt_too_long",
    `input length and \`max_tokens\` exceed context limit: ${prompt} + ${maxTokens} > ${window}, ` +
      "decrease input length or `max_tokens` and try again",
    { param: "max_tokens", overflow },
  );
}

/**
 * The error of a request that an engine refused, in the words that fit what is known: `prompt` is the prompt's size by whoever knows
 * it best and never below the floor, `maxTokens` the output that was asked for.
 */
export function overflowError(
  overflow: SaidOverflow,
  prompt: number | undefined,
  maxTokens: number | undefined,
): GatewayError {
  const { window, floor = 0 } = overflow;
  if (prompt !== undefined && prompt < window && maxTokens !== undefined && prompt + maxTokens > window)
    return outputTooLong(prompt, maxTokens, window, overflow);
  // The engine says that the prompt is too long: whatever was counted elsewhere, it is longer than the window.
  return promptTooLong(Math.max(prompt ?? 0, floor, window + 1), window, overflow);
}

/** What an engine's message says of an overflow; `floor` is a prompt size that is only known to be reached. */
export type Overflow = {
  prompt?: number;
  floor?: number;
  window?: number;
  maxTokens?: number;
  /** Only the output is at fault, as far as the engine has looked. */
  outputOnly?: boolean;
};

type Wording = { pattern: RegExp; outputOnly?: true };

/** How engines word it. Groups: p prompt, f floor of the prompt, w window, m output asked for. */
const WORDINGS: readonly Wording[] = [
  // vLLM 0.32, recorded.
  { pattern: /maximum context length is (?<w>\d+) tokens.*prompt contains at least (?<f>\d+) input tokens/s },
  { pattern: /maximum context length is (?<w>\d+) tokens.*prompt contains (?<p>\d+) input tokens/s },
  { pattern: /maximum context length is (?<w>\d+) tokens.*prompt contains \d+ characters/s },
  { pattern: /max(?:_completion)?_tokens=(?<m>\d+) cannot be greater than max_model_len=(?<w>\d+)/, outputOnly: true },
  { pattern: /Input length \((?<p>\d+)\) exceeds model's maximum context length \((?<w>\d+)\)/ },
  { pattern: /prompt \(length (?<p>\d+)\).* longer than the maximum model length of (?<w>\d+)/s },
  // vLLM before that.
  {
    pattern:
      /maximum context length is (?<w>\d+) tokens.*\((?<p>\d+) in the (?:messages|prompt), (?<m>\d+) in the completion\)/s,
  },
  {
    pattern:
      /is too large: (?<m>\d+)\. .*maximum context length is (?<w>\d+) tokens and your request has (?<p>\d+) input tokens/s,
    outputOnly: true,
  },
  { pattern: /maximum context length is (?<w>\d+) tokens.*(?:request has|resulted in) (?<p>\d+) (?:input )?tokens/s },
  {
    pattern:
      /passed (?<p>\d+) input tokens and requested (?<m>\d+) output tokens.*context length is only (?<w>\d+) tokens/s,
  },
  // SGLang.
  { pattern: /input \((?<p>\d+) tokens\) is longer than the model's context length \((?<w>\d+) tokens\)/ },
  { pattern: /Input length \((?<p>\d+) tokens\) exceeds the maximum allowed length \((?<w>\d+) tokens\)/ },
  {
    pattern:
      /maximum context length of (?<w>\d+) tokens.*: (?<p>\d+) tokens from the input messages and (?<m>\d+) tokens for the completion/s,
  },
  {
    pattern: /max_completion_tokens is too large: (?<m>\d+)\. ?This model supports at most (?<w>\d+)/,
    outputOnly: true,
  },
  { pattern: /Multimodal prompt is too long .*=> (?<p>\d+) >= (?<w>\d+)/s },
  // llama.cpp. Its "Context size has been exceeded." is none of them: see isFullCache in engine-error.ts.
  { pattern: /request \((?<p>\d+) tokens\) exceeds the available context size \((?<w>\d+) tokens\)/ },
  { pattern: /exceeds the available context size/ },
  // LM Studio.
  { pattern: /keep the first (?<p>\d+) tokens when context.*context length of only (?<w>\d+) tokens/s },
  { pattern: /n_keep:? ?\(?(?<p>\d+)\)? ?>= ?n_ctx:? ?\(?(?<w>\d+)/ },
  { pattern: /Reached context length of (?<w>\d+) tokens with model/ },
  // Text Generation Inference. Its limit of inputs leaves room for one token of an answer.
  {
    pattern:
      /`inputs` tokens \+ `max_new_tokens` must be <= (?<w>\d+)\. Given: (?<p>\d+) `inputs` tokens and (?<m>\d+) `max_new_tokens`/,
  },
  { pattern: /`inputs` must have less than (?<w>\d+) tokens\. Given: (?<p>\d+)/ },
  // TensorRT-LLM, which writes some of its counts as 72417.0.
  {
    pattern:
      /sum of prompt length \((?<p>\d+)(?:\.0)?\).* max_(?:new_)?tokens \((?<m>\d+)\) should not exceed max_seq_len \((?<w>\d+)\)/,
  },
  { pattern: /sum of prompt length \((?<p>\d+)(?:\.0)?\).* should not exceed max_num_tokens \((?<w>\d+)\)/ },
  // The prompt comes in two parts here: the floor is the first.
  { pattern: /`default_max_tokens` .*max_seq_len \((?<w>\d+)\) - `splited_prompt_len` \((?<f>\d+)\)/ },
  // Ollama.
  { pattern: /exceeds? (?:the |maximum |max )*context (?:length|window)|prompt too long; exceeded max context length/ },
  // Others that call themselves compatible.
  { pattern: /maximum context length|context_length_exceeded|context length exceeded|exceeds the context window/i },
];

/** Reads an overflow out of an engine's message; undefined when it speaks of something else. */
export function readOverflow(message: string): Overflow | undefined {
  for (const { pattern, outputOnly } of WORDINGS) {
    const groups = pattern.exec(message)?.groups;
    if (groups === undefined && !pattern.test(message)) continue;
    const overflow: Overflow = {};
    if (groups?.["p"] !== undefined) overflow.prompt = Number(groups["p"]);
    if (groups?.["f"] !== undefined) overflow.floor = Number(groups["f"]);
    if (groups?.["w"] !== undefined) overflow.window = Number(groups["w"]);
    if (groups?.["m"] !== undefined) overflow.maxTokens = Number(groups["m"]);
    if (outputOnly) overflow.outputOnly = true;
    return overflow;
  }
  return undefined;
}
