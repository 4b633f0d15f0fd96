/** Renders what the model said earlier: its text byte for byte, its calls, and its reasoning as the model's profile has it. */
import type { AssistantPart } from "../../conversation/request.ts";
import { callArguments } from "./call-arguments.ts";
import type { AssistantMessage, EngineToolCall } from "./engine-message.ts";
import type { PromptProfile } from "./prompt-profile.ts";

/**
 * Text parts are joined with nothing between them: the engine wrote one text, which the wire split around reasoning and
 * calls. Reasoning that somebody else signed belongs to another model and is dropped; of one's own all is replayed or
 * none, since replaying only the newest changes an earlier message on every turn.
 */
export function assistantMessage(
  parts: readonly AssistantPart[],
  replay: PromptProfile["reasoningReplay"],
): AssistantMessage {
  let content = "";
  let reasoning = "";
  let calls: EngineToolCall[] | undefined;
  for (const part of parts) {
    if (part.type === "text") content += part.text;
    else if (part.type === "reasoning") {
      if (part.signed !== "foreign") reasoning = reasoning === "" ? part.text : `${reasoning}\n${part.text}`;
    } else {
      calls ??= [];
      calls.push({
        id: part.id,
        type: "function",
        function: { name: part.name, arguments: callArguments(part.arguments) },
      });
    }
  }
  const message: AssistantMessage = { role: "assistant", content };
  if (reasoning !== "") replayReasoning(message, reasoning, replay);
  if (calls) message.tool_calls = calls;
  return message;
}

function replayReasoning(message: AssistantMessage, text: string, replay: PromptProfile["reasoningReplay"]): void {
  if (replay === "content") message.content = `<think>\n${text}\n</think>\n\n${message.content}`;
  else if (replay !== "none") message[replay] = text;
}

/** Whether a template has anything to render: some refuse an assistant message without text and calls. */
export function isEmpty(message: AssistantMessage): boolean {
  return (
    message.content === "" &&
    message.tool_calls === undefined &&
    message.reasoning === undefined &&
    message.reasoning_content === undefined
  );
}

/** Two assistant messages in a row are one turn. */
export function mergeAssistant(first: AssistantMessage, second: AssistantMessage): void {
  first.content += second.content;
  for (const field of ["reasoning", "reasoning_content"] as const) {
    const text = second[field];
    if (text !== undefined) first[field] = first[field] === undefined ? text : `${first[field]}\n${text}`;
  }
  // Not a new list each time: there may be thousands of messages.
  for (const call of second.tool_calls ?? []) (first.tool_calls ??= []).push(call);
}
