/**
 * Words an overflow of the window as OpenAI does.
 *
 * The gateway's own wording is the one that makes Claude Code compact. Clients of OpenAI's API look for OpenAI's: litellm
 * (and so aider) takes nothing else for an overflow, OpenCode and Qwen Code compact on it. The numbers stay the same.
 */
import type { GatewayError } from "../../conversation/errors.ts";

const PROMPT = /^prompt is too long: (\d+) tokens > (\d+) maximum/;
const PROMPT_AND_ANSWER = /exceed context limit: (\d+) \+ (\d+) > (\d+)/;

export function openaiMessage(error: GatewayError): string {
  if (error.code !== "prompt_too_long") return error.message;
  const [, tokens, window] = PROMPT.exec(error.message) ?? [];
  if (window !== undefined) {
    return (
      `This model's maximum context length is ${window} tokens. However, your messages resulted in ${tokens} tokens. ` +
      "Please reduce the length of the messages."
    );
  }
  const [, prompt, answer, limit] = PROMPT_AND_ANSWER.exec(error.message) ?? [];
  if (limit !== undefined) {
    return (
      `This model's maximum context length is ${limit} tokens. However, you requested ${Number(prompt) + Number(answer)} tokens ` +
      `(${prompt} in the messages, ${answer} in the completion). Please reduce the length of the messages or completion.`
    );
  }
  return error.message;
}
