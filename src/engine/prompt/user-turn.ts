/**
 * Renders everything between two answers of the model: tool results, the user's words, and system messages among them.
 *
 * Results come first, in the order of the calls that they answer, whatever order the client sent; then the rest in its
 * order, each appended to the message before it where templates would mind another message (see the cases below).
 */
import type { ImagePart, Message, SystemPart, ToolResultPart, UserPart } from "../../conversation/request.ts";
import {
  appendText,
  type EngineMessage,
  type EnginePart,
  type EngineToolCall,
  joinTexts,
  type ToolMessage,
  type UserMessage,
} from "./engine-message.ts";
import { asReminder } from "./late-system.ts";
import type { RenderReference } from "./late-tools.ts";
import { documentText, errorText, IMAGE_FOLLOWS, IMAGE_OMITTED, imagePart, systemText } from "./part-text.ts";
import type { PromptProfile } from "./prompt-profile.ts";

export type TurnMessage = Exclude<Message, { role: "assistant" }>;

type Context = { profile: PromptProfile; reference: RenderReference };

/** What the model is told of a call whose result never came: every call must be answered, or templates fail. */
export const RESULT_MISSING = "[no result: the call was interrupted]";

/** Renders one turn after `calls`, the calls of the assistant message before it, onto `out`. */
export function renderTurn(
  turn: readonly TurnMessage[],
  calls: readonly EngineToolCall[],
  context: Context,
  out: EngineMessage[],
): void {
  const start = out.length;
  const answered = renderResults(turn, calls, context, out);
  /** The message of this turn that words may be appended to. */
  const last = (): UserMessage | ToolMessage | undefined => {
    const message = out.length > start ? out[out.length - 1] : undefined;
    return message?.role === "user" || message?.role === "tool" ? message : undefined;
  };

  for (const message of turn) {
    if (message.role === "system") {
      renderLateSystem(message.content, last(), context, out);
      continue;
    }
    const { parts, hasResult } = restOf(message.content, answered, context);
    if (parts.length === 0) continue;
    const before = last();
    // Words sent along with results belong to them; a message of its own stays one, or is merged with the user message
    // before it where two in a row may be refused.
    const joins = hasResult || (before?.role === "user" && context.profile.consecutiveUsers === "merge");
    if (before && joins && (before.role === "user" || parts.every((part) => part.type === "text"))) {
      appendParts(before, parts);
    } else out.push(userMessage(parts));
  }
  // Without it the model would go on in its own words.
  if (out.length === start && turn.some(({ role }) => role === "user")) out.push({ role: "user", content: "" });
}

/** Writes a tool message for every call, and one user message with the images of the results. Returns the results used. */
function renderResults(
  turn: readonly TurnMessage[],
  calls: readonly EngineToolCall[],
  context: Context,
  out: EngineMessage[],
): Set<ToolResultPart> {
  const answered = new Set<ToolResultPart>();
  if (calls.length === 0) return answered;
  const results = resultsByCall(turn);
  const images: EnginePart[] = [];
  for (const call of calls) {
    const result = results.get(call.id)?.pop();
    if (result) answered.add(result);
    const content = result ? resultText(result, context, images, call.function.name) : RESULT_MISSING;
    out.push({ role: "tool", tool_call_id: call.id, content });
  }
  if (images.length > 0) out.push({ role: "user", content: images });
  return answered;
}

/** The results of a turn by the call that they answer, the first one last. */
function resultsByCall(turn: readonly TurnMessage[]): Map<string, ToolResultPart[]> {
  const results = new Map<string, ToolResultPart[]>();
  for (const message of turn.toReversed()) {
    if (message.role !== "user") continue;
    for (const part of message.content.toReversed()) {
      if (part.type !== "tool-result") continue;
      const same = results.get(part.callId);
      if (same === undefined) results.set(part.callId, [part]);
      else same.push(part);
    }
  }
  return results;
}

/** One result as text. Images that the model can see are put on `images`, with a word about where they come from. */
function resultText(result: ToolResultPart, context: Context, images: EnginePart[], tool: string): string {
  let text = "";
  for (const part of result.content) {
    if (part.type === "image" && context.profile.vision) {
      images.push({ type: "text", text: `Image in the result of ${tool}:` }, imagePart(part));
      text = joinTexts(text, IMAGE_FOLLOWS);
    } else text = joinTexts(text, partText(part, context));
  }
  return result.isError ? errorText(text) : text;
}

function partText(part: Exclude<UserPart, ToolResultPart>, context: Context): string {
  if (part.type === "text") return part.text;
  if (part.type === "document") return documentText(part);
  return part.type === "image" ? IMAGE_OMITTED : context.reference(part.name);
}

/** What is left of a user message without the results already rendered. A result that answers no call becomes text. */
function restOf(
  content: readonly UserPart[],
  answered: Set<ToolResultPart>,
  context: Context,
): { parts: EnginePart[]; hasResult: boolean } {
  const parts: EnginePart[] = [];
  let hasResult = false;
  for (const part of content) {
    if (part.type === "image" && context.profile.vision) parts.push(imagePart(part satisfies ImagePart));
    else if (part.type !== "tool-result") pushText(parts, partText(part, context));
    else if (answered.has(part)) hasResult = true;
    else {
      const images: EnginePart[] = [];
      pushText(parts, `Result of an earlier tool call:\n${resultText(part, context, images, "that call")}`);
      for (const image of images) parts.push(image);
    }
  }
  return { parts, hasResult };
}

function pushText(parts: EnginePart[], text: string): void {
  if (text === "") return;
  const last = parts.at(-1);
  if (last?.type === "text") last.text = joinTexts(last.text, text);
  else parts.push({ type: "text", text });
}

function userMessage(parts: EnginePart[]): UserMessage {
  const only = parts.length === 1 ? parts[0] : undefined;
  return { role: "user", content: only?.type === "text" ? only.text : parts };
}

function appendParts(message: UserMessage | ToolMessage, parts: EnginePart[]): void {
  for (const part of parts) {
    if (part.type === "text") appendText(message, part.text);
    else if (message.role === "user") {
      if (typeof message.content === "string") message.content = [{ type: "text", text: message.content }];
      message.content.push(part);
    }
  }
}

function renderLateSystem(
  content: readonly SystemPart[],
  before: UserMessage | ToolMessage | undefined,
  context: Context,
  out: EngineMessage[],
): void {
  const { text, images: shown } = systemText(content, context.profile.vision);
  if (text === "") return;
  const images = shown.map((part) => (part.type === "image" ? imagePart(part) : part));
  if (context.profile.lateSystem === "keep") {
    out.push({ role: "system", content: text });
    if (images.length > 0) out.push(userMessage(images));
    return;
  }
  const reminder = asReminder(text);
  // Right after an answer there is nothing to append to but the model's own words: then it stands alone.
  if (before) appendText(before, reminder);
  else if (reminder !== "") out.push({ role: "user", content: reminder });
  if (images.length === 0) return;
  const holder = out.at(-1);
  if (holder?.role === "user") appendParts(holder, images);
  else out.push(userMessage(images));
}
