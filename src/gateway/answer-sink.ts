/**
 * Between the exchange and the client: a stream encoded as it comes, or a whole answer at its end. Both are fed by the
 * same events, so what a client gets does not depend on how it asked.
 */
import { AnswerFold } from "../conversation/answer.ts";
import { asByteText, toByteText } from "../conversation/byte-text.ts";
import type { AnswerContext, WireCodec } from "../conversation/codec.ts";
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
export function streamingSink(
  { codec, context, reply, headers }: AnswerSinkOptions,
  silence: SilenceWatch,
): AnswerSink {
  const encoder = codec.streamEncoder(context);
  let seen = false;
  const watched: Watched = {
    lastSentAt: performance.now(),
    onSilence() {
      begin();
      reply.write(encoder.ping());
      watched.lastSentAt = performance.now();
    },
  };
  silence.add(watched);

  function begin(): void {
    if (!reply.begun)
      reply.begin({ ...headers, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  }

  return {
    get seen() {
      return seen;
    },
    events(events) {
      let bytes = asByteText("");
      for (const event of events) bytes = asByteText(bytes + encoder.encode(event));
      if (bytes === "") return true;
      seen = true;
      begin();
      watched.lastSentAt = performance.now();
      return reply.write(bytes);
    },
    restart() {},
    finish(event) {
      silence.delete(watched);
      begin();
      reply.end(encoder.encode(event));
    },
    fail(error) {
      silence.delete(watched);
      if (reply.begun) reply.breakOff(encoder.encode({ type: "error", error }));
      else sendError(codec, context.requestId, reply, error);
    },
    dispose() {
      silence.delete(watched);
    },
  };
}

/** The whole answer is sent at its end, so that an engine's failure can still be an HTTP error. */
export function collectingSink({ codec, context, reply, headers }: AnswerSinkOptions): AnswerSink {
  let fold = new AnswerFold();
  return {
    seen: false,
    events(events) {
      for (const event of events) fold.add(event);
      return true;
    },
    restart() {
      fold = new AnswerFold();
    },
    finish(event) {
      const body = codec.encodeAnswer({ blocks: fold.blocks, finish: event }, context);
      reply.send(200, { ...headers, "content-type": "application/json" }, body);
    },
    fail(error) {
      sendError(codec, context.requestId, reply, error);
    },
    dispose() {},
  };
}

/** Answers with an error in the client's own shape, when nothing of an answer has been sent yet. */
export function sendError(codec: WireCodec, requestId: string, reply: Reply, error: GatewayError): void {
  const { status, headers, body } = codec.encodeError(error, requestId);
  reply.send(status, headers, toByteText(body));
}
