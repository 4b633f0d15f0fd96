/** The parser for reasoning: what a model says has to come as text, and what it thinks as reasoning. */
import type { JsonObject } from "../conversation/request.ts";
import type { AskEngine } from "./ask-engine.ts";
import { reasoningParserOf } from "./call-formats.ts";
import { askChat } from "./chat-answer.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { thinkingIs } from "./probe-tool.ts";
import type { Subject } from "./subject.ts";

const MOST_TOKENS = 256;

export async function reasoningApart(ask: AskEngine, { model, names, kind }: Subject): Promise<Finding[]> {
  const say = findingsOf("reasoning_parser");
  const chat: JsonObject = {
    model,
    messages: [{ role: "user", content: "Say hi, and nothing else." }],
    max_tokens: MOST_TOKENS,
    temperature: 0,
  };
  const [plain, quiet] = await Promise.all([askChat(ask, chat), askChat(ask, { ...chat, ...thinkingIs(false) })]);
  if (plain.kind === "refused") return [say.bad(`a plain chat was refused: ${plain.words}`)];
  if (/<\/?think(ing)?>/.test(plain.content)) {
    const parser = names.map(reasoningParserOf).find((name) => name !== undefined);
    const flag = kind === "vllm" || kind === "sglang" ? "--reasoning-parser" : "its option for reasoning";
    return [
      say.warning(
        "what the model thinks comes as text, between <think> tags",
        `start it with ${flag} ${parser ?? "and the parser of the model's family"}`,
      ),
    ];
  }
  if (plain.content !== "")
    return [
      say.ok(plain.reasoning === "" ? "text comes as text; there was no reasoning" : "text and reasoning both came"),
    ];
  const off = quiet.kind === "answer" && quiet.content !== "" ? "; with thinking off text comes" : "";
  if (plain.reasoning === "")
    return [say.bad(`neither text nor reasoning came (${plain.finish ?? "no finish"})${off}`)];
  if (plain.finish === "length") return [say.unknown(`the model was still thinking after ${MOST_TOKENS} tokens${off}`)];
  return [
    say.bad(
      `all of the answer came as reasoning, and no text${off}`,
      off === ""
        ? "leave out --reasoning-parser, or give the one of the model's family"
        : "this model does not think as its --reasoning-parser expects: leave it out, or give another",
    ),
  ];
}
