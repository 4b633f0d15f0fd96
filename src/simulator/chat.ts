/** POST /v1/chat/completions, top to bottom: check → decide the answer → wait for a place → prefill → decode → end. */
import { performance } from "node:perf_hooks";
import { type Plan, planAnswer } from "./answer-plan.ts";
import { type ChatBody, checkChatBody, checkSampling, parseBody } from "./chat-body.ts";
import { type AnswerShape, createChunkEncoder, encodeCompletion } from "./chat-chunks.ts";
import { decode } from "./decode.ts";
import { defaultAnswer } from "./default-answer.ts";
import { findDirective, planDirective } from "./directive.ts";
import type { Engine } from "./engine.ts";
import { type Answering, applyFault } from "./faults.ts";
import { type Exchange, openStream, send } from "./http.ts";
import type { Live } from "./live.ts";
import { observe } from "./metrics.ts";
import {
  answeredHashes,
  checkOutputLimit,
  countedPrompt,
  outputLimit,
  type Prompt,
  promptHash,
  readPrompt,
} from "./prompt.ts";
import { badRequest, ENGINE_DEAD_BODY, engineDead, modelNotFound } from "./refusal.ts";
import { scriptRequest } from "./script-runner.ts";
import type { Fault, Turn } from "./script.ts";

/** Answers, or throws a Refusal before anything was answered. Sets the record's outcome. */
export async function answerChat(
  engine: Engine,
  exchange: Exchange,
  live: Live,
  text: string,
  kill: (process: boolean) => void,
): Promise<void> {
  const arrived = performance.now();
  const { options, scheduler, metrics } = engine;
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
  const faults: Fault[] = [];
  if (turn.fault) faults.push(...("kind" in turn.fault ? [turn.fault] : turn.fault));

  const reported = turn.promptTokens ?? prompt.length;
  const shape: AnswerShape = {
    id: `chatcmpl-${exchange.req.headers["x-request-id"] === undefined ? engine.nextId(16) : exchange.requestId}`,
    created: Math.floor(Date.now() / 1000),
    model,
    prompt: { prompt: reported, cached: 0, created: 0 },
    runningUsage:
      body.continuousUsage && (turn.usage === undefined || turn.usage === "running-only" || turn.usage === "doubled"),
    finalUsage: body.includeUsage && turn.usage !== "missing" && turn.usage !== "running-only",
    countsReasoning: options.reasoning,
    promptTokensDetails: options.promptTokensDetails,
    fingerprint: engine.fingerprint,
  };
  const encoder = createChunkEncoder(shape);
  const answering: Answering = {
    exchange,
    live,
    stream: undefined,
    completion: () => encodeCompletion(shape, plan),
    chunk: (delta) => encoder.frame({ delta, tokens: record.completionTokens, reasoning: 0 }),
    kill,
  };
  /** Applies what is scripted for a place; false when the answer is over. */
  const pass = async (at: Fault): Promise<boolean> => {
    if (await applyFault(at, answering)) return true;
    record.outcome = "faulted";
    return false;
  };

  for (const fault of faults)
    if ((fault.kind === "http" || fault.after === "start") && !(await pass(fault))) return finish();
  if (body.stream) answering.stream = openStream(exchange);
  record.phase = "waiting";
  if (!(await scheduler.admit(live, body.priority))) return finish();
  observe(metrics.queueTime, (performance.now() - arrived) / 1000);
  try {
    record.phase = "prefill";
    for (const fault of faults)
      if (fault.kind !== "http" && fault.after === "head" && !(await pass(fault))) return finish();
    const cached = options.prefixCaching ? Math.min(engine.cache.lookup(prompt.tokens, prompt.hashes), reported) : 0;
    record.promptTokens = reported;
    record.cachedTokens = cached;
    const computed =
      turn.ttft === undefined ? await scheduler.prefill(live, prompt.length - cached) : await live.sleep(turn.ttft);
    if (!computed) return finish();
    metrics.promptTokens += reported;
    if (options.prefixCaching) {
      metrics.cacheQueries += reported;
      metrics.cacheHits += cached;
      engine.cache.add(prompt.hashes);
      shape.prompt.cached = cached;
      shape.prompt.created = prompt.hashes.length * options.blockSize - cached;
    }
    record.phase = "decode";
    observe(metrics.timeToFirstToken, (performance.now() - arrived) / 1000);
    if (
      !(await decode({
        plan,
        encoder,
        turn,
        faults,
        pass,
        record,
        live,
        metrics,
        stream: answering.stream,
        decodeSpeed: options.decodeSpeed,
      }))
    )
      return finish();
    if (answering.stream) {
      if (shape.finalUsage) {
        const times = turn.usage === "doubled" ? 2 : 1;
        for (let i = 0; i < times; i++) answering.stream.add(encoder.usage(plan.tokens, plan.reasoningTokens));
        record.chunks += times;
      }
      answering.stream.add("data: [DONE]\n\n");
      answering.stream.end();
    } else {
      send(exchange, 200, answering.completion(), "application/json");
    }
    record.outcome = "finished";
    record.phase = "done";
    if (plan.finish === "length") metrics.success.length++;
    else metrics.success.stop++;
    // What was generated is cached too, so that the conversation's next prompt finds it.
    if (options.prefixCaching && prompt.text !== "") {
      engine.cache.add(answeredHashes(prompt, plan.written, options.blockSize));
    }
    observe(metrics.requestTime, (performance.now() - arrived) / 1000);
  } finally {
    scheduler.release();
  }

  /** Ends an exchange that was not answered to its end. */
  function finish(): void {
    if (live.ended === "client-gone") record.outcome = "aborted";
    if (live.ended !== "engine-dead") return;
    record.outcome = "engine-dead";
    if (answering.stream) {
      answering.stream.add(`data: ${ENGINE_DEAD_BODY}\n\ndata: [DONE]\n\n`);
      answering.stream.end();
    } else if (!exchange.res.headersSent) {
      send(exchange, 500, ENGINE_DEAD_BODY, "application/json");
    }
  }
}

function servedModel(asked: string, models: EngineModels): string {
  if (asked === "") return models[0];
  if (!models.includes(asked)) throw modelNotFound(asked, models);
  return asked;
}
type EngineModels = Engine["options"]["models"];

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
