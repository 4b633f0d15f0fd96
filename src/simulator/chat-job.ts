/** A chat request made ready for the engine: checked in vLLM's order, its answer decided down to the last token. */
import { type Plan, planAnswer } from "./answer-plan.ts";
import { type ChatBody, checkChatBody, checkSampling, parseBody } from "./chat-body.ts";
import type { AnswerShape } from "./chat-chunks.ts";
import { defaultAnswer } from "./default-answer.ts";
import { findDirective, planDirective } from "./directive.ts";
import type { Engine } from "./engine.ts";
import type { Exchange } from "./http.ts";
import { checkOutputLimit, countedPrompt, outputLimit, type Prompt, promptHash, readPrompt } from "./prompt.ts";
import { badRequest, engineDead, modelNotFound } from "./refusal.ts";
import { scriptRequest } from "./script-runner.ts";
import type { Fault, Turn } from "./script.ts";

export type ChatJob = {
  body: ChatBody;
  prompt: Prompt;
  turn: Turn;
  faults: readonly Fault[];
  plan: Plan;
  shape: AnswerShape;
};

/** Throws Refusal. Notes in the record what it has understood. */
export function prepareChat(engine: Engine, exchange: Exchange, text: string): ChatJob {
  const { options } = engine;
  const { record } = exchange;
  record.body = parseBody(text);
  const body = checkChatBody(record.body);
  const model = servedModel(body.model, options.models);
  if (engine.dead) throw engineDead();
  checkToolParser(body, options.tools);
  checkOutputLimit(body, options.maxModelLen);

  const directive = findDirective(text);
  const prompt =
    directive?.promptTokens === undefined ? readPrompt(body, model, options) : countedPrompt(directive.promptTokens);
  record.prompt = prompt.text;
  const maxTokens = outputLimit(body, prompt.length, options.maxModelLen);
  checkSampling(body.raw);
  const turn: Turn = directive?.timing ?? decideTurn(engine, exchange, body, model, prompt);
  const plan = directive ? planDirective(directive, maxTokens) : planTurn(engine, body, turn, maxTokens);
  const faults = turn.fault === undefined ? [] : "kind" in turn.fault ? [turn.fault] : turn.fault;
  record.promptTokens = turn.promptTokens ?? prompt.length;
  return { body, prompt, turn, faults, plan, shape: answerShape(engine, exchange, body, model, turn) };
}

function answerShape(engine: Engine, exchange: Exchange, body: ChatBody, model: string, { usage }: Turn): AnswerShape {
  const named = exchange.req.headers["x-request-id"] !== undefined;
  return {
    id: `chatcmpl-${named ? exchange.requestId : engine.nextId(16)}`,
    created: Math.floor(Date.now() / 1000),
    model,
    prompt: { prompt: exchange.record.promptTokens, cached: 0, created: 0 },
    runningUsage: body.continuousUsage && usage !== "missing" && usage !== "final-only",
    finalUsage: body.includeUsage && usage !== "missing" && usage !== "running-only",
    countsReasoning: engine.options.reasoning,
    promptTokensDetails: engine.options.promptTokensDetails,
    fingerprint: engine.fingerprint,
  };
}

function servedModel(asked: string, models: Engine["options"]["models"]): string {
  if (asked === "") return models[0];
  if (!models.includes(asked)) throw modelNotFound(asked, models);
  return asked;
}

function checkToolParser({ toolChoice }: ChatBody, hasParser: boolean): void {
  if (hasParser || toolChoice === "none") return;
  if (toolChoice === "auto") {
    throw badRequest('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set');
  }
  const choice = toolChoice === "required" ? '"required"' : `function "${toolChoice.name}"`;
  throw badRequest(`tool_choice=${choice} requires --tool-call-parser to be set`);
}

function decideTurn(engine: Engine, { req }: Exchange, body: ChatBody, model: string, prompt: Prompt): Turn {
  const attempt = engine.script.attempt(promptHash(prompt, engine.options.blockSize));
  return engine.script.answer(scriptRequest(body, req.headers, model, attempt)) ?? defaultAnswer(body);
}

function planTurn(engine: Engine, body: ChatBody, turn: Turn, maxTokens: number): Plan {
  const { toolChoice } = body;
  const thinks = body.templateArguments["enable_thinking"] !== false;
  const { reasoning: _, ...withoutReasoning } = turn;
  return planAnswer(thinks ? turn : withoutReasoning, {
    maxTokens,
    stop: body.stop,
    includeStop: body.includeStop,
    parsesCalls: engine.options.tools && body.tools.length > 0 && toolChoice !== "none",
    parsesReasoning: engine.options.reasoning && thinks,
    forcedCall: typeof toolChoice === "object" ? "named" : toolChoice === "required" ? "required" : "none",
    nextId: () => engine.nextId(16),
  });
}
