/** A request's prompt as the engine sees it: rendered, cut into tokens, and measured against the window. */
import type { ChatBody } from "./chat-body.ts";
import { renderPrompt } from "./chat-template.ts";
import type { EngineOptions } from "./options.ts";
import { blockHashes, hashTokens, saltHash } from "./prefix-cache.ts";
import { badRequest } from "./refusal.ts";
import { type Tokens, tokenize } from "./tokenizer.ts";

/** As vLLM does, a text that cannot possibly fit is refused before it is tokenized. */
const MAX_CHARACTERS_A_TOKEN = 16;

export type Prompt = {
  text: string;
  tokens: Tokens;
  /** One a full block. */
  hashes: number[];
  /** Stands before the first block. */
  salt: number;
  /** Tokens. */
  length: number;
};

/** Throws vLLM's refusal of a prompt that is longer than the window. */
export function readPrompt(body: ChatBody, model: string, options: EngineOptions): Prompt {
  const window = options.maxModelLen;
  const text = promptText(body, model, options);
  const limit = `This model's maximum context length is ${window} tokens. However, your prompt contains`;
  const advice = "Please reduce the length of the input prompt.";
  const most = window * MAX_CHARACTERS_A_TOKEN;
  if (text.length > most) {
    const bound = `(more than ${most} characters, which is the upper bound for ${window} input tokens)`;
    throw badRequest(`${limit} ${text.length} characters ${bound}. ${advice}`, "input_text", text.length);
  }
  const tokens = tokenize(text);
  if (tokens.length > window) {
    // vLLM stops counting one past the window, so it never says how long the prompt is.
    const excess = `at least ${window + 1} input tokens, which exceeds this limit even without any output tokens`;
    throw badRequest(`${limit} ${excess}. ${advice}`, "input_tokens", window + 1);
  }
  const salt = saltHash(body.cacheSalt);
  return { text, tokens, hashes: blockHashes(tokens, options.blockSize, salt), salt, length: tokens.length };
}

export function promptText(body: ChatBody, model: string, options: EngineOptions): string {
  return renderPrompt({
    template: options.template,
    messages: body.messages,
    tools: body.rawTools,
    templateArguments: body.templateArguments,
    addGenerationPrompt: body.addGenerationPrompt,
    blindModel: options.vision ? undefined : model,
  });
}

/** A prompt of which only the length is known; it is in no cache. */
export function countedPrompt(length: number): Prompt {
  return { text: "", tokens: new Float64Array(0), hashes: [], salt: 0, length };
}

/** One number for the whole prompt: the same prompt has the same. */
export function promptHash({ tokens, hashes, salt }: Prompt, blockSize: number): number {
  return hashTokens(tokens, hashes.length * blockSize, tokens.length, hashes.at(-1) ?? salt);
}

/** The block hashes of a prompt with the answer that was generated to it. */
export function answeredHashes({ text, tokens, hashes, salt }: Prompt, written: string, blockSize: number): number[] {
  // Where the answer begins, its first token may join the prompt's last: cut from the last marker on anew.
  const begin = "<|im_start|>";
  const kept = tokens.lastIndexOf(tokenize(begin)[0]!);
  const tail = tokenize(text.slice(text.lastIndexOf(begin)) + written);
  const blocks = Math.floor(kept / blockSize);
  const open = blocks * blockSize;
  const fresh = new Float64Array(kept - open + tail.length);
  fresh.set(tokens.subarray(open, kept));
  fresh.set(tail, kept - open);
  const known = hashes.slice(0, blocks);
  return [...known, ...blockHashes(fresh, blockSize, known.at(-1) ?? salt)];
}

/** What may be generated at most: what was asked for, and what the window leaves. Throws where that is nothing. */
export function outputLimit(body: ChatBody, promptLength: number, window: number): number {
  const left = Math.min(body.maxTokens?.value ?? window, window - promptLength);
  if (left < 1) throw badRequest(`max_tokens must be at least 1, got ${left}.`, "max_tokens", left);
  return left;
}

/** vLLM refuses an output limit beyond the window before it looks at the prompt. */
export function checkOutputLimit(body: ChatBody, window: number): void {
  const asked = body.maxTokens;
  if (!asked || asked.value <= window) return;
  const message = `${asked.name}=${asked.value} cannot be greater than max_model_len=${window}. Please request fewer output tokens.`;
  throw badRequest(message, asked.name, asked.value);
}
