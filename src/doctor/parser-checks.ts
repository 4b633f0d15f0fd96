/** The engine's parser for tool calls: whether there is one, whether it reads what this model writes, and what it does when it should not read. */
import type { JsonObject } from "../conversation/request.ts";
import type { AskEngine } from "./ask-engine.ts";
import { type ChatAnswer, type Refused, askChat } from "./chat-answer.ts";
import { SPELLED_CALLS, toolParserOf } from "./call-formats.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { PROBE_MESSAGES, PROBE_NAME, PROBE_TOOL, problemOfCall, thinkingIs } from "./probe-tool.ts";
import { quote } from "./quote.ts";
import type { WrittenCall } from "./template-checks.ts";
import type { Subject } from "./subject.ts";

export type ParserLook = { missing: boolean; advice: string; findings: Finding[] };

export async function parserThere(
  ask: AskEngine,
  subject: Subject,
  written: WrittenCall | undefined,
): Promise<ParserLook> {
  const say = findingsOf("tool_parser");
  const advice = adviceOf(subject, written);
  const answer = await askChat(ask, { ...chatOf(subject), tools: [PROBE_TOOL], tool_choice: "auto", max_tokens: 1 });
  if (answer.kind === "answer") return { missing: false, advice, findings: [say.ok("a chat with tools is taken")] };
  const missing = /tool-call-parser|--jinja/.test(answer.words);
  const found = missing
    ? "there is none: calls stay text, which Evener reads, and none can be forced"
    : `a chat with tools was refused: ${answer.words}`;
  return { missing, advice, findings: [say.bad(found, advice)] };
}

function adviceOf({ kind, names }: Subject, written: WrittenCall | undefined): string {
  if (kind === "llama.cpp") return "start it with --jinja";
  if (kind !== "vllm" && kind !== "sglang")
    return "take a model whose calls this engine knows; Evener reads them out of text";
  const parser = written?.format.parser ?? names.map(toolParserOf).find((name) => name !== undefined);
  const flag = kind === "vllm" ? "--enable-auto-tool-choice --tool-call-parser" : "--tool-call-parser";
  if (parser === undefined) return `start it with ${flag} and the parser of the model's family`;
  const why =
    written === undefined ? "by the model's name" : `the template writes calls as ${written.format.name} does`;
  return kind === "vllm"
    ? `start it with ${flag} ${parser} (${why})`
    : `start it with ${flag}, the one for ${written?.format.name ?? "its family"} (${why})`;
}

/** Makes the engine write the call, by its own grammar, and looks what its parser makes of it. */
export async function parserFits(
  ask: AskEngine,
  subject: Subject,
  written: WrittenCall | undefined,
  advice: string,
): Promise<Finding[]> {
  const say = findingsOf("tool_parser_fits");
  if (subject.kind !== "vllm") return [say.unknown("only vLLM can be made to write a given text")];
  if (written === undefined) {
    const read = await familiesRead(ask, subject);
    if (read.length === 0) return [say.unknown("the chat template does not tell how it writes calls", NOT_TOLD)];
    return [say.unknown(`the chat template does not tell; the parser reads ${namesOf(read)}`, NOT_TOLD)];
  }
  const { format, call } = written;
  if (format.special === true)
    return [say.unknown(`${format.name} calls are made of tokens that no text can spell; see the matrix`)];
  const [outcome, streamed] = await Promise.all([
    outcomeOf(ask, subject, call),
    outcomeOf(ask, subject, call, { stream: true }),
  ]);
  for (const either of [outcome, streamed])
    if (typeof either === "object") return [say.unknown(`the engine could not be made to write a call: ${either.why}`)];
  if (outcome === "call" && streamed === "call")
    return [say.ok(`${format.name} calls, as the chat template writes them, whole and streamed`)];
  if (outcome === "call")
    return [say.bad(`${format.name} calls of whole answers only, and not of streams`, ANOTHER_PARSER)];
  if (outcome === "another call")
    return [say.bad(`a ${format.name} call, as the chat template writes it, becomes another call`, ANOTHER_PARSER)];
  const read = await familiesRead(ask, subject);
  const reads = read.length === 0 ? "" : `; it reads ${namesOf(read)}`;
  const became = outcome === "gone" ? "is deleted by the parser" : "stays text";
  return [say.bad(`a ${format.name} call, as the chat template writes it, ${became}${reads}`, advice)];
}

const ANOTHER_PARSER = "try another version of the engine, or another --tool-call-parser";
const NOT_TOLD = "compare --tool-call-parser with the model's card";

async function familiesRead(ask: AskEngine, subject: Subject): Promise<string[]> {
  const outcomes = await Promise.all(
    SPELLED_CALLS.map(async ({ name, call }) => ((await outcomeOf(ask, subject, call)) === "call" ? [name] : [])),
  );
  return outcomes.flat();
}

type Outcome = "call" | "another call" | "text" | "gone" | { why: string };

async function outcomeOf(ask: AskEngine, subject: Subject, call: string, more?: JsonObject): Promise<Outcome> {
  const answer = await writeExactly(ask, subject, call, { tool_choice: "auto", ...more });
  if (answer.kind === "refused") return { why: answer.words };
  const [first, ...others] = answer.calls;
  if (first !== undefined) return others.length === 0 && problemOfCall(first) === undefined ? "call" : "another call";
  if (answer.content !== "") return "text";
  return answer.reasoning === "" ? "gone" : { why: "it came as reasoning" };
}

/** A schema of no known type makes no grammar: whoever makes one refuses it, and whoever takes it makes none. */
export async function strictTools(ask: AskEngine, subject: Subject): Promise<Finding[]> {
  const say = findingsOf("strict_tools");
  if (subject.kind !== "vllm") return [say.unknown("seen with vLLM only")];
  const tool = { name: PROBE_NAME, description: "Takes the name of a city.", parameters: { type: "str" } };
  const [strict, loose] = await Promise.all(
    [true, false].map((strict) =>
      askChat(ask, {
        ...chatOf(subject),
        tools: [{ type: "function", function: { ...tool, strict } }],
        tool_choice: "auto",
        max_tokens: 1,
      }),
    ),
  );
  if (strict?.kind === "answer")
    return [
      say.warning(
        "strict is not heeded: what the model makes of a schema is what clients get",
        "repair_tool_calls: true of the model has Evener mend types and names",
      ),
    ];
  if (loose?.kind === "refused") return [say.ok("and all others as well: the engine makes a grammar of every tool")];
  return [say.ok("a grammar is made of a strict tool's schema, and of no other's")];
}

/** Evener asks with `none` where a parser is missing or may not be used, and reads the calls itself: their text has to come. */
export async function textKeptUnderNone(
  ask: AskEngine,
  subject: Subject,
  written: WrittenCall | undefined,
): Promise<Finding[]> {
  const say = findingsOf("text_under_none");
  if (subject.kind !== "vllm") return [say.unknown("only vLLM can be made to write a given text")];
  const call = written === undefined || written.format.special === true ? SPELLED_CALLS[0]?.call : written.call;
  const text = `x ${call ?? ""}`;
  const answer = await writeExactly(ask, subject, text, { tool_choice: "none" });
  if (answer.kind === "refused") return [say.unknown(`the engine could not be made to write a call: ${answer.words}`)];
  if (answer.content.trim() === text) return [say.ok("text that looks like a call comes as it was written")];
  if (answer.content === "" && answer.reasoning !== "") return [say.unknown("it came as reasoning")];
  return [
    say.warning(
      answer.calls.length > 0
        ? "a call is made of it, though none was to be made"
        : `the parser deletes what looks like a call: ${quote(text)} came back as ${quote(answer.content)}`,
      "an answer about tool calls loses its text; hermes keeps it, where the model writes such calls",
    ),
  ];
}

function writeExactly(ask: AskEngine, subject: Subject, text: string, how: JsonObject): Promise<ChatAnswer | Refused> {
  return askChat(ask, {
    ...chatOf(subject),
    // Not strict: the tool's own grammar would stand in the way of the given text.
    tools: [PROBE_TOOL],
    ...how,
    structured_outputs: { choice: [text] },
    max_tokens: 200,
    ...thinkingIs(false),
  });
}

function chatOf({ model }: Subject): JsonObject {
  return { model, messages: PROBE_MESSAGES, temperature: 0 };
}

function namesOf(read: readonly string[]): string {
  return read.length === 1 ? `${read.join("")} calls` : `${read.slice(0, -1).join(", ")} and ${read.at(-1)} calls`;
}
