/**
 * Between the exchange and the client: a stream encoded as it comes, or a whole answer at its end. Both are fed by the
 * same events, so what a client gets does not depend on how it asked.
 */
import { AnswerFold } from "../conversation/answer.ts";
import { asByteText, toByteText } from "../conversation/byte-text.ts";
import type { AnswerContext, StreamEncoder, WireCodec } from "../conversation/codec.ts";
import type { GatewayError } from "../conversation/errors.ts";
import type { FinishEvent, StreamEvent } from "../conversation/stream-event.ts";
import type { Reply, ReplyHeaders } from "./reply.ts";
import type { SilenceWatch, Watched } from "./silence-watch.ts";

export interface AnswerSink {
  /** Whether the client has been sent anything of the answer; a sign of life is nothing of the answer. */
  readonly seen: boolean;
  /** False when the client is slower than the engine. */
  events(events: readonly StreamEvent[]): boolean;
  /** Forgets the events so far; only called while nothing was seen. */
  restart(): void;
  finish(event: FinishEvent): void;
  fail(error: GatewayError): void;
  /** Stops what runs beside the answer; called when the client has gone. */
  dispose(): void;
}

export type AnswerSinkOptions = {
  codec: WireCodec;
  context: AnswerContext;
  reply: Reply;
  /** Headers of a 200. */
  headers: ReplyHeaders;
};

/** Events leave as they come; pings leave while the engine is silent. Nothing is sent before there is something to send. */
export class StreamingSink implements AnswerSink, Watched {
  place = -1;
  lastSentAt = performance.now();
  seen = false;
  readonly #options: AnswerSinkOptions;
  readonly #encoder: StreamEncoder;
  readonly #silence: SilenceWatch;

  constructor(options: AnswerSinkOptions, silence: SilenceWatch) {
    this.#options = options;
    this.#encoder = options.codec.streamEncoder(options.context);
    this.#silence = silence;
    silence.add(this);
  }

  onSilence(): void {
    this.#begin();
    this.#options.reply.write(this.#encoder.ping());
    this.lastSentAt = performance.now();
  }

  events(events: readonly StreamEvent[]): boolean {
    let bytes = asByteText("");
    for (const event of events) bytes = asByteText(bytes + this.#encoder.encode(event));
    if (bytes === "") return true;
    this.seen = true;
    this.#begin();
    this.lastSentAt = performance.now();
    return this.#options.reply.write(bytes);
  }

  restart(): void {}

  finish(event: FinishEvent): void {
    this.dispose();
    this.#begin();
    this.#options.reply.end(this.#encoder.encode(event));
  }

  fail(error: GatewayError): void {
    this.dispose();
    const { codec, context, reply } = this.#options;
    if (!reply.begun) return sendError(codec, context.requestId, reply, error);
    const bytes = this.#encoder.encode({ type: "error", error });
    if (codec.errorIsLastEvent) reply.end(bytes);
    else reply.breakOff(bytes);
  }

  dispose(): void {
    this.#silence.delete(this);
  }

  #begin(): void {
    const { headers, reply } = this.#options;
    if (!reply.begun)
      // nginx would otherwise gather an answer until its end, pings and all, unless its configuration says not to.
      reply.begin({
        ...headers,
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
      });
  }
}

/** The whole answer is sent at its end, so that an engine's failure can still be an HTTP error. */
export class CollectingSink implements AnswerSink {
  readonly seen = false;
  readonly #options: AnswerSinkOptions;
  #fold = new AnswerFold();

  constructor(options: AnswerSinkOptions) {
    this.#options = options;
  }

  events(events: readonly StreamEvent[]): boolean {
    for (const event of events) this.#fold.add(event);
    return true;
  }

  restart(): void {
    this.#fold = new AnswerFold();
  }

  finish(event: FinishEvent): void {
    const { codec, context, reply, headers } = this.#options;
    const body = codec.encodeAnswer({ blocks: this.#fold.blocks, finish: event }, context);
    reply.send(200, { ...headers, "content-type": "application/json" }, body);
  }

  fail(error: GatewayError): void {
    const { codec, context, reply } = this.#options;
    sendError(codec, context.requestId, reply, error);
  }

  dispose(): void {}
}

/** Answers with an error in the client's own shape, when nothing of an answer has been sent yet. */
export function sendError(codec: WireCodec, requestId: string, reply: Reply, error: GatewayError): void {
  const { status, headers, body } = codec.encodeError(error, requestId);
  reply.send(status, headers, toByteText(body));
}
