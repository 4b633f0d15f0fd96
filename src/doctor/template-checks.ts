/** What the chat template does: whether tools stand in the prompt, how it writes calls, and where system messages go. */
import type { JsonObject } from "../conversation/request.ts";
import type { AskEngine } from "./ask-engine.ts";
import { askChat } from "./chat-answer.ts";
import { type CallFormat, findWrittenCall } from "./call-formats.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { PROBE_ARGUMENTS, PROBE_MESSAGES, PROBE_NAME, PROBE_TOOL } from "./probe-tool.ts";
import { renderPrompt } from "./rendered-prompt.ts";
import type { Subject } from "./subject.ts";

/** The call as the template writes it. */
export type WrittenCall = { format: CallFormat; call: string };

/** How the model is told to write calls, and so what its parser has to read; undefined where the template does not tell. */
export async function writtenCall(ask: AskEngine, { model }: Subject): Promise<WrittenCall | undefined> {
  const marks = { before: "evener-probe-asks", after: "evener-probe-ends" };
  // Some templates refuse ids of other lengths.
  const id = "call00001";
  const messages: JsonObject[] = [
    { role: "user", content: marks.before },
    {
      role: "assistant",
      content: "",
      tool_calls: [{ id, type: "function", function: { name: PROBE_NAME, arguments: PROBE_ARGUMENTS } }],
    },
    { role: "tool", tool_call_id: id, content: marks.after },
  ];
  const rendered = await renderPrompt(ask, { model, messages, tools: [PROBE_TOOL], add_generation_prompt: false });
  if (rendered.kind !== "text") return undefined;
  const start = rendered.text.lastIndexOf(marks.before);
  const end = rendered.text.lastIndexOf(marks.after);
  return start < 0 || end < start ? undefined : findWrittenCall(rendered.text.slice(start + marks.before.length, end));
}

/** Without them in the prompt the model knows of no tool. */
export async function toolsInPrompt(ask: AskEngine, { model }: Subject): Promise<Finding[]> {
  const say = findingsOf("tools_in_prompt");
  const chat = { model, messages: PROBE_MESSAGES, max_tokens: 1 };
  const [bare, none] = await Promise.all([
    askChat(ask, chat),
    askChat(ask, { ...chat, tools: [PROBE_TOOL], tool_choice: "none" }),
  ]);
  if (bare.kind === "refused") return [say.bad(`a plain chat was refused: ${bare.words}`)];
  if (none.kind === "refused") return [say.bad(`a chat with tools was refused: ${none.words}`)];
  const [without, withTools] = [bare.usage?.prompt, none.usage?.prompt];
  if (without === undefined || withTools === undefined) return [say.unknown("the engine does not count prompts")];
  if (withTools > without + 10)
    return [say.ok(`under tool_choice none as well: ${withTools} tokens with a tool, ${without} without`)];
  const [plain, rendered] = [
    await renderPrompt(ask, { model, messages: PROBE_MESSAGES }),
    await renderPrompt(ask, { model, messages: PROBE_MESSAGES, tools: [PROBE_TOOL] }),
  ];
  if (plain.kind !== "text" || rendered.kind !== "text")
    return [say.unknown(`not under tool_choice none (${withTools} tokens with and without); otherwise not told`)];
  if (rendered.text.length > plain.text.length + 10)
    return [
      say.warning(
        "not under tool_choice none, so that a conversation is prefilled anew whenever that changes",
        "leave out --exclude-tools-when-tool-choice-none",
      ),
    ];
  return [
    say.bad(
      "the chat template leaves tools out: the model knows of none",
      "give a template that renders tools: --chat-template FILE",
    ),
  ];
}

/** Claude Code puts one into the conversation almost every turn. Evener folds them, so that none of this stops an agent. */
export async function lateSystemMessages(ask: AskEngine, { model }: Subject): Promise<Finding[]> {
  const say = findingsOf("late_system");
  const [head, early, late, last] = [
    "evener-probe-head",
    "evener-probe-first",
    "evener-probe-late",
    "evener-probe-last",
  ];
  const rendered = await renderPrompt(ask, {
    model,
    messages: [
      { role: "system", content: head },
      { role: "user", content: early },
      { role: "assistant", content: "Yes." },
      { role: "system", content: late },
      { role: "user", content: last },
    ],
  });
  if (rendered.kind === "untold") return [say.unknown(rendered.why)];
  if (rendered.kind === "refused")
    return [say.ok(`the template refuses them (${rendered.words}); Evener folds them`, FOLD)];
  const [before, at, after] = [early, late, last].map((mark) => rendered.text.lastIndexOf(mark)) as [
    number,
    number,
    number,
  ];
  if (at < 0) return [say.ok("the template leaves them out; Evener folds them", FOLD)];
  if (before < at && at < after) return [say.ok("kept where they stand")];
  return [say.ok("moved to another place, which would break the prefix cache; Evener folds them", FOLD)];
}

const FOLD = "keep late_system at fold, the default";
