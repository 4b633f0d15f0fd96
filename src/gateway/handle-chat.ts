/**
 * THE request path, from a client's POST to its settled usage row, readable top to bottom:
 * authenticate → decode → resolve model → pick replica → fit the window → stream → meter → settle → end.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { credentialsOf } from "../admission/credentials.ts";
import type { AnswerContext, WireCodec } from "../conversation/codec.ts";
import { GatewayError, toGatewayError } from "../conversation/errors.ts";
import type { ChatRequest } from "../conversation/request.ts";
import type { ErrorEvent, FinishEvent, StreamEvent } from "../conversation/stream-event.ts";
import { UsageFold } from "../conversation/usage.ts";
import { encodePrompt, gatewayStops } from "../engine/encode-chat.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { estimateTokens } from "../engine/estimate-tokens.ts";
import { prepareDocuments } from "../engine/prompt/documents.ts";
import type { Outcome, UsageRow } from "../ledger/usage-row.ts";
import { replicaOrder } from "../routing/pick-replica.ts";
import { collectingSink, sendError, streamingSink } from "./answer-sink.ts";
import { chatTarget } from "./chat-target.ts";
import { Exchange } from "./exchange.ts";
import type { Gateway } from "./gateway.ts";
import { watchPrefix } from "./prefix-break.ts";
import { fitPrompt } from "./prompt-fit.ts";
import { readBody } from "./read-body.ts";
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
  const reply = new Reply(req, res, () => clientGone());
  try {
    if (gateway.draining) throw new GatewayError("shutting_down", "the gateway is stopping; send the request again");
    const known = gateway.keys.authenticate(credentialsOf(req.headers));
    const principal = known instanceof Promise ? await known : known;
    const decoded = codec.decode(await readBody(req, gateway.config.limits.body_bytes), req.headers);
    const request = await prepareDocuments(decoded);
    const model = resolveModel(gateway, request.model);
    const { session, agent } = request.identity;
    const affinity = session === undefined ? undefined : `${principal.tenantId}/${session}`;
    const replicas = replicaOrder(model.replicas, affinity);
    const replica = replicas[0];
    if (replica === undefined) throw new GatewayError("engine_unreachable", `no engine serves ${model.id} now`);
    const target = chatTarget(gateway.config, model.id, replica.info);
    const prompt = encodePrompt(request, target);
    const prefixBreak = watchPrefix(
      gateway.prefixGuard,
      { tenant: principal.tenantId, session, agent, model: model.id },
      prompt,
    );
    const fit = await fitPrompt(gateway, request, model, replica, target, prompt);
    const owner = `${principal.keyId}/${session ?? ""}/${agent ?? ""}`;
    const repeatOf = gateway.repeats.take(owner, prompt);

    const usage = new UsageFold();
    const context: AnswerContext = {
      requestId,
      model: request.model,
      created: Math.floor(startedAt.getTime() / 1000),
      request,
      usage,
      signReasoning: gateway.signReasoning,
    };
    const headers = replyHeaders(requestId, model.id, request, fit.clampedTo);
    const sinkOptions = { codec, context, reply, headers };
    const sink = request.stream ? streamingSink(sinkOptions, gateway.silence) : collectingSink(sinkOptions);
    let firstTokenMs: number | null = null;

    const settle = (outcome: Outcome, finishReason: string | null, error: GatewayError | undefined): Promise<void> => {
      gateway.inFlight--;
      const row: UsageRow = {
        requestId,
        tenantId: principal.tenantId,
        keyId: principal.keyId,
        model: model.id,
        requestedModel: request.model,
        wire: codec.name,
        streamed: request.stream,
        session: session ?? null,
        agent: agent ?? null,
        usage: usage.usage,
        countedBy: usage.countedBy,
        outcome,
        finishReason,
        errorCode: error?.code ?? null,
        engine: exchange.replica?.address.name ?? null,
        startedAt,
        firstTokenMs,
        durationMs: Math.round(performance.now() - startedMs),
        repeatOf: repeatOf ?? null,
        prefixBreak: prefixBreak?.text ?? null,
      };
      gateway.observer.settled(row, principal, error);
      return gateway.usage.record(row).catch((thrown: unknown) => gateway.observer.recordFailed(requestId, thrown));
    };

    /** Settles once the prompt has been counted, by the gateway where the engine answered and never said. */
    const settleCounted = (...end: Parameters<typeof settle>): Promise<void> => {
      if (firstTokenMs === null || usage.promptReported) return settle(...end);
      return fit.count().then(({ tokens }) => {
        usage.estimate({ prompt: tokens, completion: 0 });
        return settle(...end);
      });
    };

    const exchange = new Exchange<EngineInfo>(
      gateway.upstream,
      {
        requestId,
        replicas,
        body: fit.body,
        usage,
        timeouts: gateway.timeouts,
        stops: gatewayStops(request, target),
        errorContext: { model: model.id, contextWindow: model.contextWindow, maxTokens: request.maxTokens },
        refit: fit.refit,
        onAttemptFailed(failed, error) {
          gateway.observer.attemptFailed(requestId, failed.address.name, error);
          if (error.code === "engine_unreachable") void gateway.engines.look(failed);
        },
      },
      {
        get seen() {
          return sink.seen;
        },
        events(events: readonly StreamEvent[]) {
          if (firstTokenMs === null) {
            firstTokenMs = Math.round(performance.now() - startedMs);
            // A stream's start says how long the prompt is; few engines have not said so by now.
            if (!usage.promptReported) usage.estimate({ prompt: estimateTokens(fit.body), completion: 0 });
          }
          if (sink.events(events)) return true;
          reply.onDrain(() => exchange.resume());
          return false;
        },
        restart: () => sink.restart(),
        end(event: FinishEvent | ErrorEvent) {
          if (event.type === "finish") {
            // The row is durable before the client can take the answer for complete.
            void settleCounted("ok", event.reason, undefined).then(() => sink.finish(event));
            return;
          }
          if (sink.seen) gateway.repeats.remember(owner, prompt, requestId);
          void settleCounted(outcomeOf(event.error), null, event.error).then(() => sink.fail(event.error));
        },
      },
    );
    clientGone = () => {
      sink.dispose();
      if (exchange.abort()) void settleCounted("client_gone", null, undefined);
    };
    if (reply.ended) return;
    gateway.inFlight++;
    if (prefixBreak !== undefined) gateway.observer.prefixBroken(model.id, prefixBreak.cause);
    if (request.ignored.length > 0) gateway.observer.ignored(codec.name, request.ignored);
    exchange.start();
  } catch (thrown) {
    const error = toGatewayError(thrown);
    gateway.observer.refused(requestId, codec.name, error);
    sendError(codec, requestId, reply, error);
  }
}

function outcomeOf(error: GatewayError): Outcome {
  return error.code === "engine_cut" || error.code === "engine_failed" || error.code === "engine_timeout"
    ? "engine_died"
    : "error";
}

/** Most characters of the list of what was accepted without effect. */
const IGNORED_LIMIT = 1_000;

function replyHeaders(
  requestId: string,
  model: string,
  request: ChatRequest,
  clampedTo: number | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {
    "request-id": requestId,
    "x-request-id": requestId,
    "x-evener-model": headerSafe(model),
  };
  if (clampedTo !== undefined) headers["x-evener-max-tokens"] = String(clampedTo);
  if (request.ignored.length > 0)
    headers["x-evener-ignored"] = headerSafe(request.ignored.join(", ").slice(0, IGNORED_LIMIT));
  return headers;
}

/** Names come from clients and engines; a header takes printable ASCII only. */
function headerSafe(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}
