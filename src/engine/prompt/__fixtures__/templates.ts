/**
 * Three behaviours of real chat templates, in ChatML's clothes, without the generation prompt: one that takes system
 * messages anywhere, one that refuses all but the first and two user messages in a row, and one that drops reasoning
 * before the last user query (as Qwen3's does).
 */
import type { EncodedPrompt } from "../../encode-chat.ts";
import type { AssistantMessage, EngineMessage } from "../engine-message.ts";

export type Template = (prompt: EncodedPrompt) => string;

export const accepting: Template = (prompt) => render(prompt, () => true);

export const refusing: Template = (prompt) => {
  const messages = parsed(prompt);
  for (const [index, message] of messages.entries()) {
    if (message.role === "system" && index > 0) throw new Error("System message must be at the beginning");
    const before = messages[index - 1]?.role;
    if (message.role === before && message.role !== "tool") throw new Error(`two ${message.role} messages in a row`);
    if (message.role === "tool" && before !== "tool" && before !== "assistant") throw new Error("a result of no call");
  }
  return render(prompt, () => true);
};

export const forgetting: Template = (prompt) => {
  const lastQuery = parsed(prompt).findLastIndex((message) => message.role === "user");
  return render(prompt, (index) => index > lastQuery);
};

function parsed(prompt: EncodedPrompt): EngineMessage[] {
  return prompt.messages.map((message) => JSON.parse(message.json) as EngineMessage);
}

function render(prompt: EncodedPrompt, keepsReasoning: (index: number) => boolean): string {
  const messages = parsed(prompt);
  const head = messages[0]?.role === "system" ? messages[0].content : "";
  let text = `<|im_start|>system\n${head}\n<tools>\n${prompt.tools.join("\n")}\n</tools><|im_end|>\n`;
  for (const [index, message] of messages.entries()) {
    if (message.role === "system" && index === 0) continue;
    if (message.role === "tool") text += `<|im_start|>tool\n${message.content}<|im_end|>\n`;
    else if (message.role === "assistant") text += renderAnswer(message, keepsReasoning(index));
    else {
      const { content } = message;
      text += `<|im_start|>${message.role}\n${typeof content === "string" ? content : JSON.stringify(content)}<|im_end|>\n`;
    }
  }
  return text;
}

function renderAnswer(message: AssistantMessage, keepsReasoning: boolean): string {
  const reasoning = message.reasoning ?? message.reasoning_content;
  const thought = reasoning !== undefined && keepsReasoning ? `<think>\n${reasoning}\n</think>\n\n` : "";
  const calls = (message.tool_calls ?? []).map(
    ({ function: call }) => `\n<tool_call>\n${JSON.stringify([call.name, JSON.parse(call.arguments)])}\n</tool_call>`,
  );
  return `<|im_start|>assistant\n${thought}${message.content}${calls.join("")}<|im_end|>\n`;
}
