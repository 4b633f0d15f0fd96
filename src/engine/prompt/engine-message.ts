/** The messages of a chat-completions request, in the one shape that this gateway sends: the fields it writes, no more. */

export type EnginePart = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

export type EngineToolCall = { id: string; type: "function"; function: { name: string; arguments: string } };

export type SystemMessage = { role: "system"; content: string };
/** Parts only where there is an image; a template sees plain text as one string. */
export type UserMessage = { role: "user"; content: string | EnginePart[] };
export type AssistantMessage = {
  role: "assistant";
  content: string;
  reasoning?: string;
  reasoning_content?: string;
  tool_calls?: EngineToolCall[];
};
export type ToolMessage = { role: "tool"; tool_call_id: string; content: string };

export type EngineMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage;

/** Stands between two texts that were parts of one message, or were folded into one. */
const PART_SEPARATOR = "\n\n";

export function joinTexts(first: string, second: string): string {
  if (first === "") return second;
  return second === "" ? first : first + PART_SEPARATOR + second;
}

/** Appends text to the end of a message that the model reads; never to one that it wrote. */
export function appendText(message: UserMessage | ToolMessage, text: string): void {
  if (text === "") return;
  if (typeof message.content === "string") message.content = joinTexts(message.content, text);
  else message.content.push({ type: "text", text });
}
