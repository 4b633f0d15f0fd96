/** Who is told what happens to requests: metrics and logs. Never given a prompt, an answer or a key. */
import type { Principal } from "../admission/key-ring.ts";
import type { GatewayError } from "../conversation/errors.ts";
import type { KvFigures } from "../routing/kv/kv-room.ts";
import type { UsageRow } from "../ledger/usage-row.ts";
import { causeOf } from "../telemetry/cause-of.ts";
import type { RequestLog } from "../telemetry/log-record.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export type Observer = {
  /** A request has ended, and this is its usage row. */
  settled(row: UsageRow, principal: Principal, error: GatewayError | undefined): void;
  /** A request was refused before it had a row. */
  refused(requestId: string, wire: string, error: GatewayError): void;
  /** A usage row could not be made durable in time. */
  recordFailed(requestId: string, error: unknown): void;
  /** An attempt on an engine failed; the client may have seen nothing of it. */
  attemptFailed(requestId: string, engine: string, error: GatewayError): void;
  /**
   * An engine refused a request and is asked again without what it does not take: once for each tool choice in a while, for each set of
   * schemas, and each time that it fails at a grammar. `without` names what was given up, as in `ignored`.
   */
  conceded(requestId: string, engine: string, refusal: GatewayError, without: readonly string[]): void;
  /** A call was found in the model's text; `repair` says what had to be done. */
  callRecovered(requestId: string, model: string, repair: string): void;
  /** A session's prompt did not begin with its last one; `cause` is one of the prefix guard's. */
  prefixBroken(model: string, cause: string): void;
  /** An engine had forgotten a conversation; `first` if that is the first sign in minutes that those which go on do not fit. */
  evicted(engine: string, figures: KvFigures, first: boolean): void;
  /** What was accepted without effect, as `where:name`. */
  ignored(wire: string, ignored: readonly string[]): void;
};

/** Metrics count everything; the log has a line for each request, and for what somebody may want to look into. */
export function createObserver(log: Logger, metrics: Metrics): Observer {
  /** Engines of which it was said that no grammar holds their answers. */
  const heldNothing = new Set<string>();
  return {
    settled(row, principal, error) {
      const entry = logEntry(row, principal);
      metrics.settled(entry);
      log.request(entry);
      if (error?.code === "internal")
        log.error({ requestId: row.requestId, cause: causeOf(error) }, "the gateway failed");
    },
    refused(requestId, wire, error) {
      metrics.refused(wire, error.code);
      const fields = { requestId, wire, code: error.code };
      if (error.code === "internal") log.error({ ...fields, cause: causeOf(error) }, "the gateway failed");
      else log.info(fields, "refused");
    },
    recordFailed(requestId, error) {
      metrics.rowLost();
      log.error({ requestId, cause: causeOf(error) }, "a usage row is not durable yet");
    },
    attemptFailed(requestId, engine, error) {
      metrics.attemptFailed(engine, error.code);
      log.debug({ requestId, engine, code: error.code }, "an attempt failed");
    },
    conceded(requestId, engine, refusal, without) {
      const said = { requestId, engine, engineSaid: refusal.message };
      if (refusal.concession === "tool-parser")
        log.warn(
          said,
          "the engine has no tool-call parser; until it is started with one (evener doctor says which), calls are read from the model's text",
        );
      else if (refusal.concession === "schema-keywords")
        log.warn(
          { ...said, without },
          "the engine cannot make a grammar of schemas; it is asked without these keywords",
        );
      else if (!heldNothing.has(engine)) {
        // Each such request fails anew.
        heldNothing.add(engine);
        log.warn(
          { ...said, without },
          "the engine failed where a grammar was to hold the answer; such requests are asked again without (vLLM may need --structured-outputs-config.backend xgrammar)",
        );
      }
    },
    callRecovered(requestId, model, repair) {
      metrics.callRecovered(model, repair);
      log.debug({ requestId, model, repair }, "a tool call was recovered from text");
    },
    prefixBroken: (model, cause) => metrics.prefixBroken(model, cause),
    evicted(engine, { capacity, live, liveTokens }, first) {
      metrics.evicted(engine);
      if (!first) return;
      const said = { engine, holds: capacity, live, liveTokens };
      log.warn(
        said,
        "the engine has forgotten a session that goes on: its KV cache is too small for those that run, or it was started anew",
      );
    },
    ignored: (wire, entries) => metrics.ignored(wire, entries),
  };
}

/** Written out: made by spreading, an object of so many fields is a hash table, and a sixth of all that a request allocates. */
function logEntry(row: UsageRow, principal: Principal): RequestLog {
  const { usage } = row;
  return {
    requestId: row.requestId,
    wire: row.wire,
    tenant: principal.tenant,
    key: principal.key,
    model: row.model,
    requestedModel: row.requestedModel,
    engine: row.engine,
    session: row.session,
    agent: row.agent,
    streamed: row.streamed,
    outcome: row.outcome,
    finishReason: row.finishReason,
    errorCode: row.errorCode,
    inputUncached: usage.inputUncached,
    cacheRead: usage.cacheRead,
    cacheWrite: usage.cacheWrite,
    output: usage.output,
    reasoning: usage.reasoning,
    countedBy: row.countedBy,
    firstTokenMs: row.firstTokenMs,
    durationMs: row.durationMs,
    repeatOf: row.repeatOf,
    prefixBreak: row.prefixBreak,
  };
}
