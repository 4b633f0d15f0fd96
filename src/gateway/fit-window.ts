/**
 * Fits `max_tokens` to what the prompt leaves of the model's window. Agents ask for 32,000 tokens whatever the model is, and
 * engines refuse prompt + max_tokens above the window, so a request that can be served must be cut down, never refused.
 */
import { promptTooLong } from "../engine/overflow.ts";

export type Fit =
  /** Send it with this limit; undefined leaves the limit to the engine. */
  | { kind: "fits"; maxTokens: number | undefined }
  /** It depends on the prompt's true size: count, then ask again. */
  | { kind: "count-first" };

export type FitQuestion = {
  requested: number | undefined;
  /** The model's cap on output, if it has one. */
  cap: number | undefined;
  /** The model's window in tokens, if known. */
  window: number | undefined;
  /** The prompt's size in tokens: counted, or only bounded from above by its bytes. */
  prompt: { tokens: number; exact: boolean };
};

/**
 * No tokenizer in use makes more than one token of a byte, and code and prose make about one of three to four; two bytes a token
 * is above every prompt seen. A prompt that breaks it is refused by the engine and then counted.
 */
export function promptTokensAtMost(bytes: number): number {
  return Math.ceil(bytes / 2);
}

/** Throws `prompt_too_long` with true numbers when a counted prompt leaves no room for a single token. */
export function fitToWindow({ requested, cap, window, prompt }: FitQuestion): Fit {
  const wanted = cap === undefined ? requested : Math.min(requested ?? cap, cap);
  if (window === undefined || wanted === undefined) {
    if (window !== undefined && prompt.exact && prompt.tokens >= window) throw promptTooLong(prompt.tokens, window);
    return { kind: "fits", maxTokens: wanted };
  }
  if (prompt.tokens + wanted <= window) return { kind: "fits", maxTokens: wanted };
  if (!prompt.exact) return { kind: "count-first" };
  if (prompt.tokens >= window) throw promptTooLong(prompt.tokens, window);
  return { kind: "fits", maxTokens: window - prompt.tokens };
}
