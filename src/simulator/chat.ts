/** POST /v1/chat/completions, top to bottom: prepare → wait for a place → prefill → decode → end. */
import { type ChunkEncoder, createChunkEncoder, encodeCompletion } from "./chat-chunks.ts";
import { type ChatJob, prepareChat } from "./chat-job.ts";
import { decode } from "./decode.ts";
import type { Engine } from "./engine.ts";
import { type Answering, applyFault } from "./faults.ts";
import { type Exchange, openStream, send } from "./http.ts";
import type { Live } from "./live.ts";
import { observe } from "./metrics.ts";
import { answeredHashes } from "./prompt.ts";
import { ENGINE_DEAD_BODY } from "./refusal.ts";
import type { Fault } from "./script.ts";

type Running = { engine: Engine; job: ChatJob; encoder: ChunkEncoder; answering: Answering; arrived: number };

/** Answers, or throws a Refusal before anything was answered. Sets the record's outcome. `kill` ends the engine. */
export async function answerChat(
  engine: Engine,
  exchange: Exchange,
  live: Live,
  text: string,
  kill: (process: boolean) => void,
): Promise<void> {
  const arrived = performance.now();
  const { record } = exchange;
  const job = prepareChat(engine, exchange, text);
  const encoder = createChunkEncoder(job.shape);
  const answering: Answering = {
    exchange,
    live,
    stream: undefined,
    completion: () => encodeCompletion(job.shape, job.plan),
    chunk: (delta) => encoder.frame({ delta, tokens: record.completionTokens, reasoning: 0 }),
    kill,
  };
  const running: Running = { engine, job, encoder, answering, arrived };
  if (await generate(running)) {
    record.outcome = "finished";
    record.phase = "done";
  } else {
    breakOff(answering);
  }
}

/** False when the answer is not given to its end. */
async function generate(running: Running): Promise<boolean> {
  const { engine, job, answering, arrived } = running;
  const { exchange, live } = answering;
  const { record } = exchange;
  for (const fault of job.faults) {
    if ((fault.kind === "http" || fault.after === "start") && !(await pass(fault, answering))) return false;
  }
  // As in vLLM, the head goes out as soon as the request is accepted, long before its first token.
  if (job.body.stream) answering.stream = openStream(exchange);
  record.phase = "waiting";
  if (!(await engine.scheduler.admit(live, job.body.priority))) return false;
  observe(engine.metrics.queueTime, (performance.now() - arrived) / 1000);
  try {
    record.phase = "prefill";
    if (!(await prefill(running))) return false;
    record.phase = "decode";
    observe(engine.metrics.timeToFirstToken, (performance.now() - arrived) / 1000);
    const { stream } = answering;
    const { plan, turn, faults } = job;
    const { metrics, options } = engine;
    const atFault = (fault: Fault): Promise<boolean> => pass(fault, answering);
    const pace = { delay: turn.delay, decodeSpeed: options.decodeSpeed };
    const decoded = decode({
      plan,
      encoder: running.encoder,
      pace,
      faults,
      pass: atFault,
      record,
      live,
      metrics,
      onGenerated: options.onGenerated,
      stream,
    });
    if (!(await decoded)) return false;
    conclude(running);
    return true;
  } finally {
    engine.scheduler.release();
  }
}

/** Looks the prompt up in the cache and computes the rest. */
async function prefill({ engine, job, answering }: Running): Promise<boolean> {
  const { options, metrics, cache, scheduler } = engine;
  const { prompt, turn, shape } = job;
  const { live, exchange } = answering;
  for (const fault of job.faults) {
    if (fault.kind !== "http" && fault.after === "head" && !(await pass(fault, answering))) return false;
  }
  const reported = shape.prompt.prompt;
  const cached = options.prefixCaching ? Math.min(cache.lookup(prompt.tokens, prompt.hashes), reported) : 0;
  exchange.record.cachedTokens = cached;
  const computed = turn.ttft === undefined ? scheduler.prefill(live, prompt.length - cached) : live.sleep(turn.ttft);
  if (!(await computed)) return false;
  metrics.promptTokens += reported;
  if (!options.prefixCaching) return true;
  metrics.cacheQueries += reported;
  metrics.cacheHits += cached;
  cache.add(prompt.hashes);
  shape.prompt.cached = cached;
  shape.prompt.created = Math.min(prompt.hashes.length * options.blockSize, reported) - cached;
  return true;
}

/** The end of an answer, after its last token. */
function conclude({ engine, job, encoder, answering, arrived }: Running): void {
  const { exchange, stream } = answering;
  const { plan, prompt, shape, turn } = job;
  const { metrics, options } = engine;
  if (stream) {
    const times = shape.finalUsage ? (turn.usage === "doubled" ? 2 : 1) : 0;
    for (let i = 0; i < times; i++) stream.add(encoder.usage(plan.tokens, plan.reasoningTokens));
    exchange.record.chunks += times;
    stream.add("data: [DONE]\n\n");
    stream.end();
  } else {
    send(exchange, 200, answering.completion(), "application/json");
  }
  metrics.success[plan.finish === "length" ? "length" : "stop"]++;
  observe(metrics.requestTime, (performance.now() - arrived) / 1000);
  // What was generated is cached too, so that the conversation's next prompt finds it.
  if (options.prefixCaching && prompt.text !== "") {
    engine.cache.add(answeredHashes(prompt, plan.written, options.blockSize));
  }
}

/** Applies a scripted fault; false when the answer is over. */
async function pass(fault: Fault, answering: Answering): Promise<boolean> {
  if (await applyFault(fault, answering)) return true;
  answering.exchange.record.outcome = "faulted";
  return false;
}

/** Says of an answer that ended early how it did; where the engine died, to the client too. */
function breakOff({ exchange, live, stream }: Answering): void {
  const { record, res } = exchange;
  if (live.ended === "client-gone") record.outcome = "aborted";
  if (live.ended !== "engine-dead") return;
  record.outcome = "engine-dead";
  if (stream) {
    stream.add(`data: ${ENGINE_DEAD_BODY}\n\n`);
    stream.add("data: [DONE]\n\n");
    stream.end();
  } else if (!res.headersSent) {
    send(exchange, 500, ENGINE_DEAD_BODY, "application/json");
  }
}
