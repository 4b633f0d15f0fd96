/**
 * Meters one request: what is reserved before an engine is called, the running counts, and the usage row that settles it, once.
 * handle-chat.ts says when; the ledger knows what it costs.
 */
import type { Principal } from "../admission/key-ring.ts";
import type { ErrorCode, GatewayError } from "../conversation/errors.ts";
import type { ChatRequest } from "../conversation/request.ts";
import type { SpendCap } from "../conversation/spend-cap.ts";
import { UsageFold } from "../conversation/usage.ts";
import { estimateTokens, guessTokens } from "../engine/estimate-tokens.ts";
import type { Ledger, Reservation } from "../ledger/ledger-types.ts";
import type { Outcome, UsageRow } from "../ledger/usage-row.ts";
import type { CacheReport, KvSeat } from "../routing/kv/kv-admission.ts";
import type { KnownPrefix, PrefixBreak } from "./known-prefix.ts";
import { LikelyUsage } from "./likely-usage.ts";
import type { Observer } from "./observer.ts";
import type { PromptFit } from "./prompt-fit.ts";

/** What is known of a request once it is read; `model` is what the client called it until it is resolved. */
export type Metered = Pick<UsageRow, "requestId" | "model" | "wire" | "startedAt" | "repeatOf"> & {
  principal: Principal;
  request: ChatRequest;
  /** `performance.now()` at the request's start. */
  startedMs: number;
  prefix: KnownPrefix;
  /** Its place among the conversations of an engine, once it has one. */
  seat?: KvSeat | undefined;
};

/**
 * Rows that wait for the database are for answers: a flood of refusals must not take their place. And a name that nobody serves, or that the
 * key may not use, is a mistake in a client, of which there is nothing to report by model.
 */
const WITHOUT_ROW: ReadonlySet<ErrorCode> = new Set(["store_unavailable", "model_not_found", "model_not_allowed"]);

/** The prompt was the same as far as it had been computed, but its engine had needed the room for others. */
const EVICTED: PrefixBreak = { cause: "evicted", text: "cache: evicted" };

export type End = {
  outcome: Outcome;
  finishReason: string | null;
  error?: GatewayError;
  /** The replica that answered, or was the last to be asked. */
  engine: string | null;
  /** Whether it ended before the engine had said its last figures. */
  cut: boolean;
  /** False: of the answer nothing reached the client, nor ever will, so it costs nothing. */
  billed: boolean;
};

export class Meter {
  readonly usage = new UsageFold();
  readonly #likely = new LikelyUsage(this.usage);
  readonly #ledger: Ledger;
  readonly #observer: Observer;
  readonly #metered: Metered;
  #fit: PromptFit | undefined;
  #reservation: Reservation | undefined;
  #firstTokenMs: number | null = null;

  constructor({ ledger, observer }: { ledger: Ledger; observer: Observer }, metered: Metered) {
    this.#ledger = ledger;
    this.#observer = observer;
    this.#metered = metered;
  }

  /**
   * Holds money for the request, where it costs any. `onExhausted` is called once if a growing answer cannot be paid further. Resolves
   * with the budget that is spent furthest, if there is one. Rejects as `Ledger.reserve` does: then nothing is held, and `refused` is next.
   */
  async reserve(fit: PromptFit, onExhausted: () => void): Promise<SpendCap | undefined> {
    this.#fit = fit;
    this.#reservation = await this.#ledger.reserve({
      ...this.#identity(),
      inputTokens: () => guessTokens(fit.body),
      maxOutput: fit.maxOutput,
      counts: this.#likely,
      onExhausted,
    });
    return this.#reservation.cap;
  }

  /** What is known of the prompt's beginning; `engine` is who is asked first. */
  begins(prefix: KnownPrefix, engine: string): void {
    this.#metered.prefix = prefix;
    if (prefix.computed?.engine === engine) this.#likely.computed = prefix.computed;
  }

  /** Frees what is held: the client left before the engine was called. */
  release(): void {
    this.#metered.seat?.leave();
    this.#reservation?.void().catch((thrown: unknown) => this.#observer.recordFailed(this.#metered.requestId, thrown));
  }

  /** Leaves a row of a request that no engine was asked to answer. It costs nothing. */
  refused(error: GatewayError): void {
    this.#metered.seat?.leave();
    if (WITHOUT_ROW.has(error.code)) return;
    const row = this.#row({ outcome: "error", finishReason: null, error, engine: null, cut: true, billed: false });
    const durable = this.#reservation?.void(row) ?? this.#ledger.record(row);
    durable.catch((thrown: unknown) => this.#observer.recordFailed(this.#metered.requestId, thrown));
  }

  /** Call before a read's events are handed on. */
  arrived(): void {
    if (this.#firstTokenMs !== null) return;
    this.#firstTokenMs = Math.round(performance.now() - this.#metered.startedMs);
    // A stream's start says how long the prompt is; few engines have not said so by now.
    if (!this.usage.promptReported && this.#fit !== undefined)
      this.usage.estimate({ prompt: estimateTokens(this.#fit.body), completion: 0 });
  }

  /** Call when another attempt begins, after one of which the client saw nothing: its tokens are not the client's. */
  restarted(): void {
    this.#firstTokenMs = null;
  }

  /** Call after a read's events were handed on: the answer may have to end here. */
  progress(): void {
    this.#reservation?.progress();
  }

  /** Settles, once the prompt has been counted where the engine answered and never said how long it is. Never rejects. */
  settle(end: End): Promise<void> {
    if (this.#firstTokenMs === null || this.usage.promptReported || this.#fit === undefined) return this.#settle(end);
    return this.#fit.count().then(({ tokens }) => {
      this.usage.estimate({ prompt: tokens, completion: 0 });
      return this.#settle(end);
    });
  }

  #settle(end: End): Promise<void> {
    const { prefix, seat, model } = this.#metered;
    const { engine } = end;
    if (!end.cut && prefix.line !== undefined && engine !== null && this.usage.cachedReported)
      prefix.line.computed = { engine, tokens: this.usage.prompt };
    if (seat?.leave(engine === null ? undefined : this.#cacheReport(engine)) === true) {
      prefix.broken = EVICTED;
      this.#observer.prefixBroken(model, EVICTED.cause);
    }
    const row = this.#row(end);
    this.#observer.settled(row, this.#metered.principal, end.error);
    const reservation = this.#reservation;
    if (reservation === undefined) return Promise.resolve();
    const durable = end.billed ? reservation.settle(row) : reservation.void(row);
    return durable.catch((thrown: unknown) => this.#observer.recordFailed(row.requestId, thrown));
  }

  #cacheReport(engine: string): CacheReport {
    const { computed } = this.#metered.prefix;
    const { usage } = this;
    return {
      engine,
      prompt: usage.prompt,
      output: usage.output,
      cached: usage.cachedReported ? usage.usage.cacheRead : undefined,
      firstAt: this.#firstTokenMs === null ? undefined : this.#metered.startedMs + this.#firstTokenMs,
      computed: computed?.engine === engine ? computed.tokens : undefined,
    };
  }

  /** What is reserved under, and the row's first half. */
  #identity() {
    const { requestId, principal, request, model, wire, startedAt } = this.#metered;
    const { session = null, agent = null } = request.identity;
    return {
      requestId,
      tenantId: principal.tenantId,
      keyId: principal.keyId,
      model,
      requestedModel: request.model,
      wire,
      streamed: request.stream,
      session,
      agent,
      startedAt,
    };
  }

  #row({ outcome, finishReason, error, engine, cut }: End): UsageRow {
    const { startedMs, repeatOf, prefix } = this.#metered;
    const likely = cut && this.#likely.guessed && engine === this.#likely.computed?.engine;
    return {
      ...this.#identity(),
      usage: likely ? this.#likely.usage : this.usage.usage,
      countedBy: likely ? "gateway" : this.usage.countedBy,
      outcome,
      finishReason,
      errorCode: error?.code ?? null,
      engine,
      firstTokenMs: this.#firstTokenMs,
      durationMs: Math.round(performance.now() - startedMs),
      repeatOf,
      prefixBreak: prefix.broken?.text ?? null,
    };
  }
}
