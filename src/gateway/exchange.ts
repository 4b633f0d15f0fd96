/**
 * One answer from the engines: calls a replica, reads its stream, and tries again where that is invisible to the client.
 * It knows engines and events; it knows neither wires nor clients.
 */
import { GatewayError } from "../conversation/errors.ts";
import { toByteText } from "../conversation/byte-text.ts";
import type { ErrorEvent, FinishEvent, StreamEvent } from "../conversation/stream-event.ts";
import type { UsageFold } from "../conversation/usage.ts";
import { ChatStreamDecoder } from "../engine/chat-stream-decoder.ts";
import type { ChunkTemplates } from "../engine/chunk-template.ts";
import type { EngineErrorContext } from "../engine/engine-error.ts";
import { Refusal } from "../engine/refusal.ts";
import type { EngineTimeouts, Upstream, UpstreamCall } from "../engine/upstream.ts";
import type { EngineInfo, EngineState } from "../routing/engine-pool.ts";
import { keptSilent, spoke } from "../routing/replica-silence.ts";
import { RecoveredCalls, type RecoveryPlan } from "./recovered-calls.ts";

/** Who takes the answer. `seen` decides whether a failed attempt may be repeated. */
export type ExchangeSink = {
  /** Events that are not terminal, in order, once a read. False pauses the engine until `resume`. */
  events(events: readonly StreamEvent[]): boolean;
  /** The one terminal event. Nothing follows it. */
  end(event: FinishEvent | ErrorEvent): void;
  /** Forgets the events so far: another attempt begins, of which nothing was seen. */
  restart(): void;
  /** Whether the client has been sent anything of the answer. */
  seen(): boolean;
};

export type ExchangePlan<Info extends EngineInfo> = {
  requestId: string;
  /** In the order in which to try them. */
  replicas: readonly EngineState<Info>[];
  body: string;
  usage: UsageFold;
  timeouts: EngineTimeouts;
  /** Stop sequences that the engine was not told of. */
  stops?: readonly string[];
  /** All stop sequences of the client; undefined: not known. */
  asked?: readonly string[];
  /** What the engines' chunks look like. */
  templates?: ChunkTemplates;
  /** What calls to look for in the model's text; undefined: none. */
  recovery?: RecoveryPlan | undefined;
  /** What gives an engine's errors their names and numbers. */
  errorContext: EngineErrorContext;
  /**
   * Asked when an engine says that the request does not fit its window, or what else is wrong with it for this engine: a body that it may
   * take, or the error to show. Only while the client has seen nothing and no other replica may take it as it is, and once about the window.
   */
  amend(error: GatewayError, refused: EngineState<Info>): Promise<string>;
  /** Told of every failed attempt, so that the engine's state can be looked at. */
  onAttemptFailed(replica: EngineState<Info>, error: GatewayError): void;
};

const MOST_ATTEMPTS = 3;
const EMPTY_ANSWER =
  "(The model ended its turn with no text and no tool call. Send the message again, or say what to do next.)";

/** Something besides the blanks that some models write between their reasoning and what then does not come. Text is bytes: no `\S`. */
const VISIBLE = /[^ \t\r\n]/;

function isAnswer(event: StreamEvent): boolean {
  return event.type === "tool-call-start" || (event.type === "text-delta" && VISIBLE.test(event.text));
}

export class Exchange<Info extends EngineInfo> {
  readonly #upstream: Upstream;
  readonly #plan: ExchangePlan<Info>;
  readonly #sink: ExchangeSink;
  readonly #startedAt = performance.now();
  #body: string;
  #attempts = 0;
  /** Where in the plan's order the replica stands that is asked. Those before it have failed. */
  #place = 0;
  #replica: EngineState<Info> | undefined;
  #call: UpstreamCall | undefined;
  #decoder: ChatStreamDecoder | undefined;
  #recovered: RecoveredCalls | undefined;
  #over = false;
  #cut = false;
  #held = false;
  /** Whether the request was fitted anew into the window. */
  #refitted = false;
  #retriedEmpty = false;
  /** Whether the replica has said anything, if only a refusal. */
  #heard = false;
  /** Whether the answer so far has text or a tool call: reasoning and blanks alone are not an answer. */
  #answered = false;

  constructor(upstream: Upstream, plan: ExchangePlan<Info>, sink: ExchangeSink) {
    this.#upstream = upstream;
    this.#plan = plan;
    this.#sink = sink;
    this.#body = plan.body;
  }

  /** Whether the gateway ended the answer before the engine did: at a stop sequence, at a limit, or because the client left. */
  get cut(): boolean {
    return this.#cut;
  }

  /** Whether the engine is held back: what it then fails to send in time is not its fault. */
  get held(): boolean {
    return this.#held;
  }

  /** The replica that gave the answer, or is giving it. */
  get replica(): EngineState<Info> | undefined {
    return this.#replica;
  }

  start(): void {
    const replica = this.#plan.replicas[this.#place];
    if (replica === undefined) throw new Error("an exchange needs at least one replica");
    this.#attempts++;
    this.#replica = replica;
    this.#heard = false;
    this.#held = false;
    this.#answered = false;
    this.#call = this.#post(replica);
    // Last: nothing would take it back where posting throws.
    replica.inFlight++;
  }

  /** Stops the engine and ends without a terminal event: the client has gone. False if the answer had already ended. */
  abort(): boolean {
    if (this.#over) return false;
    this.#over = this.#cut = true;
    this.#leave();
    this.#call?.abort();
    // What came so far is counted, also where the engine itself reports nothing.
    this.#decoder?.abandon();
    return true;
  }

  /** Ends the answer as if its token limit were reached, and stops the engine. */
  endAtLimit(): void {
    if (this.#over) return;
    this.#cut = true;
    this.#decoder?.abandon();
    this.#call?.abort();
    const rest = this.#recovered?.cut() ?? [];
    if (rest.length > 0) this.#sink.events(rest);
    this.#end({ type: "finish", reason: "length" });
  }

  /** Ends the answer with this error, and stops the engine: the gateway cannot go on with it. */
  stop(error: GatewayError): void {
    if (this.#over) return;
    // What came so far is counted, also where the engine itself reports nothing.
    this.#decoder?.abandon();
    this.#end({ type: "error", error });
  }

  /**
   * Goes on to another replica if this one is asked and has said nothing so far: a look found it down. One that has begun to answer may
   * only be late with its looks.
   */
  moveFrom(down: EngineState<Info>): void {
    if (this.#over || this.#replica !== down || this.#heard || this.#attempts >= MOST_ATTEMPTS) return;
    const another = this.#another();
    if (another < 0) return;
    this.#plan.onAttemptFailed(down, new GatewayError("engine_unreachable", "the engine is down"));
    this.#place = another;
    this.#again(this.#body);
  }

  resume(): void {
    this.#held = false;
    this.#call?.resume();
  }

  #post(replica: EngineState<Info>): UpstreamCall {
    const decoder = new ChatStreamDecoder(
      this.#plan.usage,
      this.#plan.errorContext,
      this.#plan.stops,
      this.#plan.templates,
      this.#plan.asked,
    );
    this.#decoder = decoder;
    const { recovery } = this.#plan;
    this.#recovered = recovery && new RecoveredCalls(recovery);
    let refusal: Refusal | undefined;
    return this.#upstream.post(
      replica.address,
      "/v1/chat/completions",
      this.#body,
      {
        onHead: (status, headers) => {
          if (status === 200) return;
          this.#hear(replica);
          refusal = new Refusal(status, headers, (read) => this.#refused(read));
        },
        onData: (bytes) => {
          if (refusal === undefined) this.#deliver(decoder.push(bytes));
          else refusal.push(bytes);
        },
        onEnd: () => {
          if (refusal === undefined) this.#deliver(decoder.end());
          else refusal.end();
        },
        onError: (error) => {
          // A complete answer stays one when the connection breaks behind it, and a refusal when it breaks in its body.
          if (refusal === undefined) this.#deliver(decoder.fail(error));
          else refusal.end();
        },
      },
      { requestId: this.#plan.requestId, timeouts: this.#plan.timeouts },
    );
  }

  #hear(replica: EngineState<Info> | undefined): void {
    this.#heard = true;
    if (replica !== undefined) spoke(replica.silence);
  }

  #refused(refusal: Refusal): void {
    // Its body may go on, and is of no use any more.
    this.#call?.abort();
    this.#failed(refusal.error(this.#plan.errorContext));
  }

  #deliver(read: readonly StreamEvent[]): void {
    if (this.#over || read.length === 0) return;
    if (!this.#heard && read[0]?.type !== "error") this.#hear(this.#replica);
    const events = this.#recovered?.push(read) ?? read;
    if (events.length === 0) return;
    const last = events.at(-1);
    const terminal = last?.type === "finish" || last?.type === "error" ? last : undefined;
    const body = terminal === undefined ? events : events.slice(0, -1);
    if (body.length > 0) {
      this.#answered ||= body.some(isAnswer);
      const taken = this.#sink.events(body);
      // Behind the terminal event there is nothing that could be held back, and nobody would let it go on.
      if (!taken && terminal === undefined && !this.#over) {
        this.#held = true;
        this.#call?.pause();
      }
    }
    if (terminal?.type === "error") this.#failed(terminal.error);
    else if (terminal !== undefined) this.#finished(terminal);
  }

  #finished(finish: FinishEvent): void {
    if (this.#over) return;
    // Cut at its limit while still reasoning, or held back by a filter: that is an answer, and its reason says so.
    const empty = !this.#answered && (finish.reason === "stop" || finish.reason === "tool-calls");
    if (empty && !this.#sink.seen() && !this.#retriedEmpty) {
      this.#retriedEmpty = true;
      this.#again(this.#body);
      return;
    }
    if (empty) this.#sink.events([{ type: "text-delta", text: toByteText(EMPTY_ANSWER) }]);
    this.#end(finish);
  }

  #failed(error: GatewayError): void {
    if (this.#over) return;
    const replica = this.#replica;
    if (replica !== undefined) {
      if (error.code === "engine_timeout" && !this.#heard) keptSilent(replica.silence, performance.now());
      this.#plan.onAttemptFailed(replica, error);
    }
    if (this.#sink.seen()) {
      this.#end({ type: "error", error });
      return;
    }
    const place = this.#attempts < MOST_ATTEMPTS ? this.#placeAfter(error) : undefined;
    if (place !== undefined) {
      this.#place = place;
      this.#again(this.#body);
      return;
    }
    const tooLong = error.code === "prompt_too_long";
    if (replica === undefined || (tooLong ? this.#refitted : error.concession === undefined)) {
      this.#end({ type: "error", error });
      return;
    }
    this.#refitted ||= tooLong;
    this.#plan.amend(error, replica).then(
      (body) => this.#again(body),
      (thrown: unknown) => this.#end({ type: "error", error: thrown instanceof GatewayError ? thrown : error }),
    );
  }

  /**
   * Where to go on after a failure, if anywhere: another replica mends what is wrong with one, the same one again mends only
   * a stream that was cut. One that is down would put its own failure in the place of an answer that tells the client more.
   */
  #placeAfter(error: GatewayError): number | undefined {
    const another = this.#another();
    switch (error.code) {
      case "engine_unreachable":
        if (another >= 0) return another;
        // One that was down may be back since it was looked at; what it says otherwise is no worse.
        return this.#place + 1 < this.#plan.replicas.length ? this.#place + 1 : undefined;
      case "engine_overloaded":
      case "engine_failed":
      case "engine_misconfigured":
      case "rate_limited":
      // One that has lost the model need not be the only one to serve it.
      case "model_not_found":
        return another < 0 ? undefined : another;
      case "engine_timeout":
        // Asked again, the same one would be silent again. The limit of the whole answer is passed for all of them.
        return another < 0 || this.#isOverdue() ? undefined : another;
      case "engine_cut":
        if (another >= 0) return another;
        return this.#attempts < 2 ? this.#place : undefined;
      default:
        return undefined;
    }
  }

  #isOverdue(): boolean {
    const { totalMs } = this.#plan.timeouts;
    return totalMs > 0 && performance.now() - this.#startedAt >= totalMs;
  }

  /** The next in order that is up, -1 if there is none. */
  #another(): number {
    return this.#plan.replicas.findIndex(({ up }, place) => up && place > this.#place);
  }

  /** Asks the replica again at which the exchange stands: it has counted the prompt, and has its beginning cached. */
  #again(body: string): void {
    if (this.#over) return;
    this.#body = body;
    this.#leave();
    // What failed inside a stream may still be generating.
    this.#call?.abort();
    // A tenant pays for the answer it gets, not for the attempts that failed before it.
    this.#plan.usage.restart();
    this.#sink.restart();
    this.start();
  }

  #end(event: FinishEvent | ErrorEvent): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    // An engine whose stream is of no use any more must not go on with it. After a finish of its own it ends by itself, or has to.
    this.#cut ||= event.type === "error" || this.#decoder?.stopped === true;
    if (this.#cut) this.#call?.abort();
    else this.#call?.expectEnd();
    this.#sink.end(event);
  }

  #leave(): void {
    if (this.#replica !== undefined) this.#replica.inFlight--;
  }
}
