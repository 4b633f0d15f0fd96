/** Gives the tests an answer's context, and the official SDK as the judge of what a stream's bytes mean. */
import Anthropic from "@anthropic-ai/sdk";
import { type ByteText, asByteText, toByteText } from "../../../conversation/byte-text.ts";
import { type Answer, AnswerFold } from "../../../conversation/answer.ts";
import type { AnswerContext } from "../../../conversation/codec.ts";
import type { StreamEvent } from "../../../conversation/stream-event.ts";
import { type UsageReport, UsageFold } from "../../../conversation/usage.ts";
import { createStreamEncoder } from "../encode-stream.ts";
import { createSigner } from "../signature.ts";

export const signer = createSigner(Buffer.from("a secret that only tests know of"));

export function answerContext(change: Partial<AnswerContext> = {}, report: UsageReport = { prompt: 120 }): AnswerContext {
  const usage = new UsageFold();
  usage.report(report);
  return {
    requestId: "req_Ab-c_123",
    model: "claude-opus-4-8",
    servedModel: "claude-opus-4-8",
    created: 1_790_000_000,
    request: {
      model: "claude-opus-4-8",
      stream: true,
      system: [],
      messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
      tools: [],
      sampling: {},
      stop: [],
      reasoning: { mode: "unset" },
      identity: {},
      extensions: {},
      ignored: [],
    },
    usage,
    signReasoning: signer.sign,
    ...change,
  };
}

export const text = (words: string): StreamEvent => ({ type: "text-delta", text: toByteText(words) });
export const reasoning = (words: string): StreamEvent => ({ type: "reasoning-delta", text: toByteText(words) });
export const call = (index: number, id: string, name: string, ...pieces: string[]): StreamEvent[] => [
  { type: "tool-call-start", index, id, name },
  ...pieces.map((piece): StreamEvent => ({ type: "tool-call-delta", index, arguments: toByteText(piece) })),
];
export const stop: StreamEvent = { type: "finish", reason: "stop" };

export function streamBytes(events: readonly StreamEvent[], context: AnswerContext): ByteText {
  const encoder = createStreamEncoder(context);
  return asByteText(events.map((event) => encoder.encode(event)).join(""));
}

export function foldAnswer(events: readonly StreamEvent[]): Answer {
  const fold = new AnswerFold();
  for (const event of events) fold.add(event);
  const finish = events.at(-1);
  if (finish?.type !== "finish") throw new Error("an answer ends in a finish");
  return { blocks: fold.blocks, finish };
}

/** The data of each frame, with the event's name; fails on anything that is not a frame. */
export function frames(bytes: ByteText): { event: string; data: Record<string, unknown> }[] {
  return Buffer.from(bytes, "latin1")
    .toString("utf8")
    .split("\n\n")
    .slice(0, -1)
    .map((frame) => {
      const lines = /^event: (\w+)\ndata: (.*)$/.exec(frame);
      if (lines === null) throw new Error(`not a frame: ${frame}`);
      return { event: lines[1]!, data: JSON.parse(lines[2]!) as Record<string, unknown> };
    });
}

/** What the SDK's stream helper makes of the bytes, arriving in pieces of `size`; rejects as the SDK does. */
export async function judge(bytes: ByteText, size = 65_536): Promise<Anthropic.Message> {
  const client = new Anthropic({
    apiKey: "none",
    baseURL: "http://judge.invalid",
    maxRetries: 0,
    logLevel: "off",
    fetch: () =>
      Promise.resolve(new Response(pieces(bytes, size), { headers: { "content-type": "text/event-stream" } })),
  });
  return client.messages
    .stream({ model: "m", max_tokens: 1, messages: [{ role: "user", content: "hi" }] })
    .finalMessage();
}

function pieces(bytes: ByteText, size: number): ReadableStream<Uint8Array> {
  const all = Buffer.from(bytes, "latin1");
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= all.length) controller.close();
      else controller.enqueue(new Uint8Array(all.subarray(at, (at += size))));
    },
  });
}
