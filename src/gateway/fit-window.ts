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

/** How well a prompt's size is known. Only a count says for sure what fits and what does not. */
export type PromptSize = {
  /** `at-most`: bounded by its bytes. `estimated`: near the truth, on either side. `counted`: by the engine's own tokenizer. */
  known: "at-most" | "estimated" | "counted";
  tokens: number;
};

export type FitQuestion = {
  requested: number | undefined;
  /** The model's cap on output, if it has one. */
  cap: number | undefined;
  /** The model's window in tokens, if known. */
  window: number | undefined;
  prompt: PromptSize;
  /** Whether the engine cuts a prompt that is too long without a word, instead of refusing it. */
  cutsPrompts: boolean;
};

/** By how much an estimate is above the truth at most, as a factor, for what agents mostly send; for tables of numbers it is more. */
const ESTIMATE_ABOVE = 1.3;

/**
 * No tokenizer in use makes more than one token of a byte, and code and prose make about one of three to four; two bytes a token
 * is above every prompt seen. A prompt that breaks it is refused by the engine and then counted.
 */
export function promptTokensAtMost(bytes: number): number {
  return Math.ceil(bytes / 2);
}

/** Room for an answer that an estimate does not take away, in tokens: the prompt may well be shorter. */
export function leastRoom(window: number): number {
  return Math.min(4_096, Math.max(1, Math.floor(window / 4)));
}

/** Throws `prompt_too_long` when the prompt leaves no room for a single token: by its count, not by an estimate alone. */
export function fitToWindow(question: FitQuestion): Fit {
  const { requested, cap, window, prompt } = question;
  const wanted = cap === undefined ? requested : Math.min(requested ?? cap, cap);
  if (window === undefined) return { kind: "fits", maxTokens: wanted };
  if (isTooLong(question, window)) throw promptTooLong(prompt.tokens, window);
  if (wanted === undefined) {
    const mayBeCut = question.cutsPrompts && prompt.known === "at-most" && prompt.tokens >= window;
    return mayBeCut ? { kind: "count-first" } : { kind: "fits", maxTokens: undefined };
  }
  if (prompt.tokens + wanted <= window) return { kind: "fits", maxTokens: wanted };
  const room = window - prompt.tokens;
  switch (prompt.known) {
    case "at-most":
      return { kind: "count-first" };
    case "estimated":
      // The engine knows better, and says so when even this is too much.
      return {
        kind: "fits",
        maxTokens: Math.min(wanted, Math.max(room, leastRoom(window))),
      };
    case "counted":
      return { kind: "fits", maxTokens: room };
  }
}

/**
 * An engine that is asked refuses what does not fit, and knows its size. One that cuts it instead would answer a conversation without
 * its beginning, where an agent that is told compacts it: there, an estimate refuses that is far too long.
 */
function isTooLong({ prompt, cutsPrompts }: FitQuestion, window: number): boolean {
  switch (prompt.known) {
    case "at-most":
      return false;
    case "estimated":
      return cutsPrompts && prompt.tokens / ESTIMATE_ABOVE >= window;
    case "counted":
      return prompt.tokens >= window;
  }
}
