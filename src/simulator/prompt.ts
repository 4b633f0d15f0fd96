/** A request's prompt as the engine sees it: rendered, cut into tokens, and measured against the window. */
import type { ChatBody } from "./chat-body.ts";
import { renderPrompt } from "./chat-template.ts";
import type { EngineOptions } from "./options.ts";
import { blockHashes } from "./prefix-cache.ts";
import { badRequest } from "./refusal.ts";
import { type Tokens, tokenize } from "./tokenizer.ts";

/** As vLLM does, a text that cannot possibly fit is refused before it is tokenized. */
const MAX_CHARACTERS_A_TOKEN = 16;

export type Prompt = { text: string; tokens: Tokens; hashes: number[]; length: number };

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
  return { text, tokens, hashes: blockHashes(tokens, options.blockSize, body.cacheSalt), length: tokens.length };
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
  return { text: "", tokens: new Float64Array(0), hashes: [], length };
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
