/**
 * The matrix of tool calls: each way to ask for one, with thinking as it comes, off and on, streamed and whole. Engines and parsers get single
 * cells of it wrong: a forced call while thinking is off, say, comes back as nothing at all.
 */
import type { JsonObject } from "../conversation/request.ts";
import { WORDLESS } from "../engine/engine-error.ts";
import { ENGINE_PROFILES } from "../engine/profile.ts";
import type { AskEngine } from "./ask-engine.ts";
import { type ChatAnswer, type Refused, askChat } from "./chat-answer.ts";
import { type Finding, type Result, findingsOf, worstOf } from "./finding.ts";
import {
  PROBE_MESSAGES,
  PROBE_NAME,
  STRICT_PROBE_TOOL,
  holdsCall,
  holdsMark,
  problemOfCall,
  thinkingIs,
} from "./probe-tool.ts";
import { quote } from "./quote.ts";
import { reasonOf } from "./reason-of.ts";
import type { Subject } from "./subject.ts";

export const CHOICES = ["auto", "required", "named"] as const;
export const THINKING = ["default", "off", "on"] as const;
export type Choice = (typeof CHOICES)[number];
export type Thinking = (typeof THINKING)[number];
export type Place = { choice: Choice; thinking: Thinking; streamed: boolean };

/** What became of the call. Words of one kind go under one finding. */
export type Outcome =
  | "call"
  | "no call"
  | "lost"
  | "as text"
  | "in reasoning"
  | "reasoning only"
  | "arguments"
  | "wrong tool"
  | "several"
  | "finish"
  | "cut"
  | "thinking"
  | "refused"
  | "no answer";
export type Cell = Place & { outcome: Outcome; result: Result; found: string };

/** Room for a model that thinks about it first; a call itself takes some forty tokens. */
const MOST_TOKENS = 512;

/** The cells of one way to ask, at once where the engine works on many at once. Never rejects for what an engine does. */
export async function askForCalls(ask: AskEngine, subject: Subject, choice: Choice): Promise<Cell[]> {
  const places = THINKING.flatMap((thinking) => [false, true].map((streamed) => ({ choice, thinking, streamed })));
  const batches = subject.kind === "vllm" || subject.kind === "sglang";
  const cells: Cell[] = [];
  // Elsewhere the last of many would wait for all before it, and seem to get no answer.
  for (const together of batches ? [places] : places.map((place) => [place]))
    cells.push(...(await Promise.all(together.map((place) => askForCall(ask, subject, place)))));
  return cells;
}

async function askForCall(ask: AskEngine, subject: Subject, place: Place): Promise<Cell> {
  try {
    return { ...place, ...judge(place.choice, await askChat(ask, bodyOf(place, subject))) };
  } catch (error) {
    return { ...place, ...bad("no answer", reasonOf(error)) };
  }
}

function bodyOf({ choice, thinking, streamed }: Place, { model, kind }: Subject): JsonObject {
  const named = { type: "function", function: { name: PROBE_NAME } };
  const byName = ENGINE_PROFILES[kind].namedToolChoice === "object" ? named : "required";
  return {
    model,
    messages: PROBE_MESSAGES,
    tools: [STRICT_PROBE_TOOL],
    tool_choice: choice === "named" ? byName : choice,
    // One is enough to see, and a model that babbles would call again and again.
    parallel_tool_calls: false,
    max_tokens: MOST_TOKENS,
    temperature: 0,
    ...(thinking !== "default" && thinkingIs(thinking === "on")),
    stream: streamed,
  };
}

type Judgement = Pick<Cell, "outcome" | "result" | "found">;

/** A forced call has to come, whole and alone; under `auto` a model need not call, but what it calls has to come as a call. */
export function judge(choice: Choice, answer: ChatAnswer | Refused): Judgement {
  if (answer.kind === "refused") return bad("refused", answer.words);
  const { calls, content, reasoning, finish } = answer;
  const [call, ...others] = calls;
  if (call !== undefined) {
    if (others.length > 0) return bad("several", `${calls.length} calls came where one was asked for`);
    const problem = problemOfCall(call);
    if (problem === "wrong-tool") return bad("wrong tool", `a call of ${quote(call.name)}, which nobody offered`);
    if (problem !== undefined && finish === "length") return cut;
    if (problem === "broken")
      return bad("arguments", `the call's arguments are no JSON object: ${quote(call.arguments)}`);
    if (problem === "misfit") {
      // Unforced, it is the model that chose them, where the engine does not heed `strict`.
      const result = choice === "auto" ? "warning" : "bad";
      return { outcome: "arguments", result, found: `the call's arguments break its schema: ${quote(call.arguments)}` };
    }
    if (holdsCall(content)) return bad("as text", `the call came, and once more as text: ${quote(content)}`);
    if (holdsMark(reasoning)) return bad("in reasoning", "the call came, and once more within the reasoning");
    // OpenAI's own server, and vLLM, say "stop" of a call that was forced by name.
    if (finish === "tool_calls" || (choice === "named" && finish === "stop"))
      return { outcome: "call", result: "ok", found: "one call, as it should be" };
    return bad("finish", `the call came with finish_reason ${finish ?? "null"}, on which clients do not run it`);
  }
  if (finish === "length") {
    if (content === "" && reasoning !== "") return thinking;
    if (holdsCall(content) || (choice !== "auto" && content.trim() === "")) return cut;
    // llama.cpp lets a model write before it calls, as much as it likes.
    if (choice !== "auto") return { ...cut, found: `${cut.found}, but text: ${quote(content)}` };
  }
  if (holdsCall(content)) return bad("as text", `the call was left in the text: ${quote(content)}`);
  if (holdsMark(reasoning)) return bad("in reasoning", `the call was left in the reasoning: ${quote(reasoning)}`);
  if (choice === "auto") {
    if (finish === "tool_calls") return bad("lost", "finish_reason is tool_calls, and there is no call");
    return { outcome: "no call", result: "ok", found: "the model called nothing, which it may" };
  }
  if (content === "" && reasoning !== "")
    return bad("reasoning only", `no call came, though it was forced, but reasoning: ${quote(reasoning)}`);
  const instead = content === "" ? "nothing at all" : `text: ${quote(content)}`;
  return bad("lost", `no call came, though it was forced, but ${instead}`);
}

const cut: Judgement = {
  outcome: "cut",
  result: "unknown",
  found: `no call was complete after ${MOST_TOKENS} tokens`,
};
const bad = (outcome: Outcome, found: string): Judgement => ({ outcome, result: "bad", found });
const thinking: Judgement = { ...cut, outcome: "thinking", found: `it was still thinking after ${MOST_TOKENS} tokens` };

/** One finding for each way to ask, and for each thing that went wrong with it. */
export function matrixFindings(cells: readonly Cell[], parser: { missing: boolean; advice: string }): Finding[] {
  return CHOICES.flatMap((choice) => {
    const asked = cells.filter((cell) => cell.choice === choice);
    const say = findingsOf(`tool_choice_${choice}`);
    const good = asked.filter(({ result }) => result === "ok");
    const problems = [...Map.groupBy(without(asked, good), ({ outcome }) => outcome).values()];
    if (problems.length === 0) {
      const called = asked.filter(({ outcome }) => outcome === "call").length;
      if (choice !== "auto")
        return [say.ok(`one call in each of the ${asked.length} cells, its arguments as the schema has them`)];
      if (called > 0)
        return [say.ok(`the model called in ${called} of ${asked.length} cells, and each came as a call`)];
      return [say.unknown("the model called nothing by itself, so whether such calls are found is not seen")];
    }
    return problems.map((alike) => {
      const [first] = alike as [Cell, ...Cell[]];
      const found = `${cellsOf(alike, asked.length)}: ${first.found}`;
      return say[worstOf(alike.map(({ result }) => result))](found, adviceFor(first, alike, asked, parser));
    });
  });
}

function without(all: readonly Cell[], some: readonly Cell[]): Cell[] {
  return all.filter((cell) => !some.includes(cell));
}

/** Which of the cells, in words: `thinking off, streamed` or `all 6 cells`. */
function cellsOf(alike: readonly Cell[], all: number): string {
  if (alike.length === all) return `all ${all} cells`;
  const thinking = [...new Set(alike.map((cell) => cell.thinking))];
  const ways = [...new Set(alike.map((cell) => (cell.streamed ? "streamed" : "whole")))];
  const share = `${alike.length} of ${all} cells (thinking ${thinking.join(", ")}`;
  return ways.length === 1 ? `${share}; ${ways.join("")})` : `${share})`;
}

function adviceFor(
  first: Cell,
  alike: readonly Cell[],
  asked: readonly Cell[],
  parser: { missing: boolean; advice: string },
): string | undefined {
  switch (first.outcome) {
    case "refused":
      if (parser.missing) return "mended by the tool-call parser, see above";
      return first.found === `500: ${WORDLESS}` ? GRAMMAR_BACKEND : undefined;
    case "as text":
      return parser.advice;
    case "in reasoning":
    case "reasoning only":
    case "lost": {
      // Rows are asked with and without thinking: where only one side fails, the other is the way round it.
      const fine = new Set(
        without(asked, alike)
          .filter(({ outcome }) => outcome === "call")
          .map((cell) => cell.thinking),
      );
      const failing = new Set(alike.map((cell) => cell.thinking));
      if (!failing.has("on") && fine.has("on")) return `${KEEP_THINKING}; ${OTHER_VERSION}`;
      if (first.outcome === "lost") return OTHER_VERSION;
      return failing.has("off") || !fine.has("off") ? REASONING : `${REASONING}; or switch thinking off`;
    }
    case "finish":
    case "several":
    case "arguments":
    case "wrong tool":
      return `${OTHER_VERSION}; with repair_tool_calls: true Evener mends what can be mended`;
    default:
      return undefined;
  }
}

/** Measured on vLLM 0.32: with the backend "auto" the first schema that it is asked for chooses for all; with guidance no call can be held. */
const GRAMMAR_BACKEND =
  "if it is vLLM, start it anew with --structured-outputs-config.backend xgrammar: else one schema that xgrammar does not know, asked for first, breaks all calls that a grammar holds";
const REASONING =
  "the reasoning parser does not fit: leave out --reasoning-parser, or give the one of the model's family";
const KEEP_THINKING = "leave thinking on for this model (thinking_switch: none)";
const OTHER_VERSION = "try another version of the engine, or another --tool-call-parser";
