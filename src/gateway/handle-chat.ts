/**
 * THE request path, from a client's POST to its settled usage row, readable top to bottom:
 * authenticate → decode → resolve model → pick replica → fit the window → reserve → wait for a seat → stream, metered → settle → end.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { credentialsOf } from "../admission/credentials.ts";
import type { AnswerContext, WireCodec } from "../conversation/codec.ts";
import { type ErrorCode, GatewayError, toGatewayError } from "../conversation/errors.ts";
import type { ErrorEvent, FinishEvent, StreamEvent } from "../conversation/stream-event.ts";
import { encodePrompt, gatewayStops } from "../engine/encode-chat.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { prepareDocuments } from "../engine/prompt/documents.ts";
import { effortUnheard } from "../engine/prompt/thinking-arguments.ts";
import type { Outcome } from "../ledger/usage-row.ts";
import { affinityOf, replicaOrder, sameKindFirst } from "../routing/pick-replica.ts";
import { type AnswerSink, CollectingSink, sendError, StreamingSink } from "./answer-sink.ts";
import { askAgain } from "./ask-again.ts";
import { chatTarget } from "./chat-target.ts";
import { Exchange } from "./exchange.ts";
import type { Answering, Gateway } from "./gateway.ts";
import { kvSeat } from "./kv-seat.ts";
import { watchPrefix } from "./known-prefix.ts";
import { type End, Meter, type Metered } from "./meter.ts";
import { fitPrompt } from "./prompt-fit.ts";
import { readBody } from "./read-body.ts";
import { recoveryOf } from "./recovered-calls.ts";
import { Reply } from "./reply.ts";
import { newRequestId } from "./request-id.ts";
import { resolveModel } from "./resolve-model.ts";

export async function handleChat(
  gateway: Gateway,
  codec: WireCodec,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const requestId = newRequestId();
  const startedAt = new Date();
  const startedMs = performance.now();
  let clientGone: () => void = () => {};
  let leaveQueue: (() => void) | undefined;
  let answer: AnswerSink | undefined;
  const refuse = (error: GatewayError): void => {
    gateway.observer.refused(requestId, codec.name, error);
    // A client that was sent a sign of life reads the error in its stream.
    if (answer !== undefined) answer.fail(error);
    else sendError(codec, requestId, reply, error);
  };
  // One `stop` for both: replaced by another, it kept three times as much alive (decisions/0113-nothing-outlives-its-request.md).
  const answering: Answering = {
    place: -1,
    running: undefined,
    stop(error) {
      if (answering.running !== undefined) return answering.running.stop(error);
      refuse(error);
      leaveQueue?.();
    },
  };
  const reply = new Reply(
    req,
    res,
    () => clientGone(),
    () => gateway.answering.delete(answering),
    gateway.config.timeouts.client_ms,
  );
  let meter: Meter | undefined;
  try {
    if (gateway.draining) {
      res.shouldKeepAlive = false;
      throw new GatewayError("shutting_down", "the gateway is stopping; send the request again");
    }
    gateway.answering.add(answering);
    const found = gateway.keys.authenticate(credentialsOf(req.headers));
    const principal = found instanceof Promise ? await found : found;
    const decoded = codec.decode(await readBody(req, gateway.config.limits.body_bytes), req.headers);
    const metered: Metered = {
      requestId,
      principal,
      request: decoded,
      model: decoded.model,
      wire: codec.name,
      startedAt,
      startedMs,
      repeatOf: null,
      prefix: {},
    };
    const { usage } = (meter = new Meter(gateway, metered));
    const model = resolveModel(gateway, decoded.model, principal.models);
    metered.model = model.id;
    const { session, agent } = decoded.identity;
    const affinity = affinityOf(principal.tenantId, session);
    let replicas = replicaOrder(model.replicas, affinity);
    const replica = replicas[0];
    if (replica === undefined) throw new GatewayError("engine_unreachable", `no engine serves ${model.id} now`);
    const known = gateway.concessions.asking(decoded, chatTarget(gateway.config, model.id, replica.info), replica);
    const { target } = known;

    const context: AnswerContext = {
      requestId,
      model: decoded.model,
      servedModel: model.id,
      created: Math.floor(startedAt.getTime() / 1000),
      request: decoded,
      usage,
      signReasoning: gateway.signReasoning,
    };
    const effort = effortUnheard(decoded.reasoning, target.profile.thinkingSwitch) ? ["field:effort"] : [];
    let ignored: readonly string[] = [...decoded.ignored, ...effort, ...known.without];
    const headers = replyHeaders(requestId, model.id, ignored);
    const sinkOptions = { codec, context, reply, headers };
    // From here on a streaming client sees signs of life: documents may take long to read, and prompts to count.
    const sink = decoded.stream ? new StreamingSink(sinkOptions, gateway.silence) : new CollectingSink(sinkOptions);
    answer = sink;
    clientGone = () => {
      sink.dispose();
      leaveQueue?.();
      if (answering.running?.abort()) void settle({ outcome: "client_gone", finishReason: null, billed: true });
    };

    const request = (metered.request = await prepareDocuments(known.request));
    const prompt = encodePrompt(request, target);
    const fit = await fitPrompt(gateway, request, model, replica, target, prompt);
    let unpayable = false;
    const cap = await meter.reserve(fit, () => {
      if (answering.running === undefined) unpayable = true;
      else answering.running.endAtLimit();
    });
    // The client may have left while money was held for it.
    if (reply.ended) return meter.release();
    if (cap !== undefined) Object.assign(headers, codec.usageLimitHeaders?.(cap));
    if (fit.clampedTo !== undefined) headers[MAX_TOKENS_HEADER] = String(fit.clampedTo);

    // Only now: who cannot pay need not wait to be told, and a wait's first sign of life takes the headers along.
    const seat = kvSeat(gateway, metered, replica, fit.body);
    if (seat !== undefined && "giveUp" in seat) {
      leaveQueue = seat.giveUp;
      metered.seat = await seat.seat;
      if (reply.ended) return meter.release();
    } else metered.seat = seat;

    // What came together was picked before any of it was in flight, and replicas may be down by now.
    if (replicas.length > 1) replicas = sameKindFirst(replicaOrder(model.replicas, affinity), replica.info?.kind);
    const owner = `${principal.keyId}/${session ?? ""}/${agent ?? ""}`;
    metered.repeatOf = gateway.repeats.take(owner, prompt) ?? null;
    const guardKey = { tenant: principal.tenantId, session, agent, model: model.id };
    const prefix = watchPrefix(gateway.prefixGuard, guardKey, prompt);
    meter.begins(prefix, replicas[0]!.address.name);
    if (prefix.broken !== undefined) gateway.observer.prefixBroken(model.id, prefix.broken.cause);
    if (ignored.length > 0) gateway.observer.ignored(codec.name, ignored);

    const settle = (end: Omit<End, "engine" | "cut">): Promise<void> =>
      meteredBy.settle({ ...end, engine: exchange.replica?.address.name ?? null, cut: exchange.cut });
    const meteredBy = meter;
    const exchange = new Exchange<EngineInfo>(
      gateway.upstream,
      {
        requestId,
        replicas,
        body: fit.body,
        usage,
        timeouts: gateway.timeouts,
        stops: gatewayStops(request, target),
        asked: request.stop,
        templates: gateway.templates,
        recovery: recoveryOf(request, gateway.config.models[model.id], (repair) =>
          gateway.observer.callRecovered(requestId, model.id, repair),
        ),
        errorContext: { model: model.id, contextWindow: model.contextWindow, maxTokens: request.maxTokens },
        amend: askAgain(gateway, {
          requestId,
          asking: { ...known, request },
          fit,
          onFitted(maxTokens) {
            headers[MAX_TOKENS_HEADER] = String(maxTokens);
          },
          onConceded(without, reworded) {
            gateway.observer.ignored(codec.name, without);
            setIgnored(headers, (ignored = [...ignored, ...without]));
            // The session goes on from what the engine takes. What it refused was never computed, so that nothing broke.
            watchPrefix(gateway.prefixGuard, guardKey, reworded);
          },
        }),
        onAttemptFailed(failed, error) {
          gateway.observer.attemptFailed(requestId, failed.address.name, error);
          if (LOOKED_AT_AFTER.has(error.code)) void gateway.engines.look(failed);
        },
      },
      {
        seen: () => sink.seen,
        events(events: readonly StreamEvent[]) {
          meteredBy.arrived();
          const taken = sink.events(events);
          if (!taken) reply.onDrain(() => exchange.resume());
          meteredBy.progress();
          return taken;
        },
        restart() {
          meteredBy.restarted();
          sink.restart();
        },
        end(event: FinishEvent | ErrorEvent) {
          if (event.type === "finish") {
            // The row is durable before the client can take the answer for complete.
            void settle({ outcome: "ok", finishReason: event.reason, billed: true }).then(() => sink.finish(event));
            return;
          }
          const { error } = event;
          // Also what was shown signs of life alone was answered with 200, and is sent again by itself.
          if (reply.begun) gateway.repeats.remember(owner, prompt, requestId);
          const outcome = outcomeOf(error, exchange.held);
          void settle({ outcome, finishReason: null, error, billed: sink.seen }).then(() => sink.fail(error));
        },
      },
    );
    exchange.start();
    answering.running = exchange;
    if (unpayable) exchange.endAtLimit();
  } catch (thrown) {
    const error = toGatewayError(thrown);
    meter?.refused(error);
    refuse(error);
  }
}

/** Failures after which the engine may be down, or serve something else. */
const LOOKED_AT_AFTER: ReadonlySet<ErrorCode> = new Set([
  "engine_unreachable",
  "engine_cut",
  "engine_timeout",
  "model_not_found",
]);

function outcomeOf(error: GatewayError, held: boolean): Outcome {
  if (held && error.code === "engine_timeout") return "client_gone";
  return error.code === "engine_cut" || error.code === "engine_failed" || error.code === "engine_timeout"
    ? "engine_died"
    : "error";
}

/** Says what `max_tokens` was cut down to. */
const MAX_TOKENS_HEADER = "x-evener-max-tokens";
/** Most characters of the list of what was accepted without effect. */
const IGNORED_LIMIT = 1_000;

function replyHeaders(requestId: string, model: string, ignored: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {
    "request-id": requestId,
    "x-request-id": requestId,
    "x-evener-model": headerSafe(model),
  };
  setIgnored(headers, ignored);
  return headers;
}

function setIgnored(headers: Record<string, string>, ignored: readonly string[]): void {
  if (ignored.length > 0) headers["x-evener-ignored"] = headerSafe(ignored.join(", ").slice(0, IGNORED_LIMIT));
}

/** Names come from clients and engines; a header takes printable ASCII only. */
function headerSafe(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}
