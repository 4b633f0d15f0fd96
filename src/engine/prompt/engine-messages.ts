/**
 * Renders a conversation as the messages of a chat-completions request, so that the request for turn N+1 begins with
 * the messages of the request for turn N. docs/prefix-caching.md has the rules and what each is worth.
 */
import type { ChatRequest, Message, UserPart } from "../../conversation/request.ts";
import { assistantMessage, isEmpty, mergeAssistant } from "./assistant-message.ts";
import { type EngineMessage, type EngineToolCall, joinTexts } from "./engine-message.ts";
import { asReminder } from "./late-system.ts";
import { lateTools } from "./late-tools.ts";
import { systemText } from "./part-text.ts";
import type { PromptProfile } from "./prompt-profile.ts";
import { unavailableServerTools, unavailableText } from "./server-tools.ts";
import { splitHead } from "./shared-heads.ts";
import { renderTurn, type TurnMessage } from "./user-turn.ts";

export function engineMessages(request: ChatRequest, profile: PromptProfile): EngineMessage[] {
  const out: EngineMessage[] = [];
  const { head, conversation } = parted(request, profile);
  if (head !== "") out.push({ role: "system", content: head });

  const context = { profile, reference: lateTools(request, profile.strictTools) };
  // What waits to be rendered: the calls of the last answer, and everything since.
  let calls: readonly EngineToolCall[] = [];
  let turn: TurnMessage[] = [];
  const areAnsweredBehind = answeredBehind(conversation);
  for (const [place, message] of conversation.entries()) {
    if (message.role !== "assistant") {
      turn.push(message);
      continue;
    }
    const answer = assistantMessage(message.content, profile.reasoningReplay);
    // A client that was cut off keeps an answer with nothing in it; some templates refuse it.
    if (isEmpty(answer)) continue;
    const written = out.at(-1);
    if (written?.role === "assistant" && saysNothing(turn) && areAnsweredBehind(calls, place)) {
      mergeAssistant(written, answer);
      calls = written.tool_calls ?? [];
      continue;
    }
    renderTurn(turn, calls, context, out);
    turn = [];
    calls = answer.tool_calls ?? [];
    const before = out.at(-1);
    if (before?.role === "assistant") mergeAssistant(before, answer);
    else out.push(answer);
  }
  renderTurn(turn, calls, context, out);
  dropUnspoken(out);
  return out;
}

/** Whether nothing stands in a turn that must stay where it is; the definition of a late tool may as well follow the results. */
function saysNothing(turn: readonly TurnMessage[]): boolean {
  return turn.every(
    ({ role, content }) =>
      role === "user" &&
      content.every((part) => part.type === "tool-reference" || (part.type === "text" && part.text === "")),
  );
}

/**
 * Tells whether results of these calls come after another answer, at `place`: some clients keep each part of an answer as a message of its
 * own, and all results behind the last. Told that such a call was interrupted, the model would run it again.
 *
 * To be asked of places in order. All answers before the same results share one look ahead, or a long conversation would take minutes.
 */
function answeredBehind(
  conversation: readonly Message[],
): (calls: readonly EngineToolCall[], place: number) => boolean {
  /** Calls of the results that come next, and where the first of those stands. */
  let next: ReadonlySet<string> = new Set();
  let first = -1;
  /** The calls that were last found among them; more may have been added since. */
  let found: readonly EngineToolCall[] | undefined;
  return (calls, place) => {
    if (calls.length === 0) return false;
    if (place >= first) {
      ({ first, ids: next } = resultsBehind(conversation, place));
      found = undefined;
    }
    if (calls === found) return true;
    if (!calls.some(({ id }) => next.has(id))) return false;
    found = calls;
    return true;
  };
}

/** The next results behind a place, up to the answer that follows them: the calls that they answer, and the place of the first. */
function resultsBehind(conversation: readonly Message[], place: number): { first: number; ids: Set<string> } {
  const ids = new Set<string>();
  let first = Infinity;
  for (let at = place + 1; at < conversation.length; at++) {
    const { role, content } = conversation[at]!;
    if (role === "assistant" && first < at) break;
    if (role !== "user") continue;
    for (const part of content) {
      if (part.type !== "tool-result") continue;
      ids.add(part.callId);
      first = Math.min(first, at);
    }
  }
  return { first, ids };
}

/** The system text at the head, and the messages after it. */
function parted(request: ChatRequest, profile: PromptProfile): { head: string; conversation: readonly Message[] } {
  const { messages } = request;
  let head = "";
  for (const part of request.system) head = joinTexts(head, part.text);
  // System messages before all others are the head too, whichever way the client wrote them.
  let leading = 0;
  const images: UserPart[] = [];
  for (let message = messages[0]; message?.role === "system"; message = messages[++leading]) {
    const said = systemText(message.content, profile.vision);
    head = joinTexts(head, said.text);
    for (const image of said.images) images.push(image);
  }
  let conversation: readonly Message[] = leading === 0 ? messages : messages.slice(leading);
  if (images.length > 0) conversation = [{ role: "user", content: images }, ...conversation];
  const first = conversation[0];
  if (profile.sharedHeads && first?.role === "user") {
    const { shared, own } = splitHead(head);
    head = shared;
    if (own !== "") {
      const opening: UserPart = { type: "text", text: asReminder(own) };
      conversation = [{ role: "user", content: [opening, ...first.content] }, ...conversation.slice(1)];
    }
  }
  return { head: joinTexts(head, unavailableText(unavailableServerTools(request.tools))), conversation };
}

/** An answer at the end is there to be continued; one with no text (cut while it was thinking) leaves nothing to continue. */
function dropUnspoken(out: EngineMessage[]): void {
  const last = out.at(-1);
  if (last?.role === "assistant" && last.content === "") out.pop();
}
