/**
 * Spoiled engine streams through the decoder and both encoders, in process: no crash, no breach of the wire's grammar, no
 * false finish. FUZZ_RUNS sets how many (100,000 for a thorough run), FUZZ_SEED where they begin.
 */
import { expect, test } from "vitest";
import { AnswerFold } from "../../src/conversation/answer.ts";
import { fromByteText } from "../../src/conversation/byte-text.ts";
import type { AnswerContext, WireCodec } from "../../src/conversation/codec.ts";
import type { StreamEvent } from "../../src/conversation/stream-event.ts";
import { UsageFold } from "../../src/conversation/usage.ts";
import { ChatStreamDecoder } from "../../src/engine/chat-stream-decoder.ts";
import { createAnthropicMessages } from "../../src/wire/anthropic-messages/codec.ts";
import { openaiChat } from "../../src/wire/openai-chat/codec.ts";
import { type FuzzedStream, fuzzedStream } from "../support/wire-fuzz.ts";
import { JUDGES, type WireName, ask, readWhole } from "../support/wire-gateway.ts";
import type { Verdict } from "../support/wire-verdict.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 3_000);
const FIRST = Number(process.env["FUZZ_SEED"] ?? 1);

const CODECS: Record<WireName, WireCodec> = {
  anthropic: createAnthropicMessages({ verifySignature: () => false }),
  openai: openaiChat,
};

function decode(reads: readonly Buffer[]): { events: StreamEvent[]; usage: UsageFold } {
  const usage = new UsageFold();
  const decoder = new ChatStreamDecoder(usage, { model: "test-model", contextWindow: 8_192 });
  const events = reads.flatMap((bytes) => decoder.push(bytes));
  return { events: [...events, ...decoder.end()], usage };
}

function encode(
  wire: WireName,
  { events, usage }: ReturnType<typeof decode>,
): {
  bytes: string;
  streamed: Verdict;
  whole: string;
} {
  const codec = CODECS[wire];
  const options = wire === "openai" ? { stream_options: { include_usage: true } } : {};
  const request = codec.decode(JSON.stringify(ask({ stream: true, ...options })), {});
  const context: AnswerContext = {
    requestId: "req_fuzz",
    model: "test-model",
    created: 1,
    request,
    usage,
    servedModel: "m",
    signReasoning: () => "signature",
  };
  const encoder = codec.streamEncoder(context);
  const fold = new AnswerFold();
  let bytes = "";
  let whole = "";
  for (const event of events) {
    bytes += encoder.encode(event);
    fold.add(event);
    if (event.type === "finish")
      whole = fromByteText(codec.encodeAnswer({ blocks: fold.blocks, finish: event }, context));
  }
  return { bytes, streamed: JUDGES[wire](Buffer.from(bytes, "latin1").toString("utf8")), whole };
}

/** Calls without an id of the engine's own get one that is made up. */
function withoutMadeIds({ bytes }: { bytes: string }): string {
  return bytes.replaceAll(/call_[0-9a-f]{24}/g, "call_made");
}

/** What is wrong with what came of a stream; undefined when all is well. */
function complaint(fuzzed: FuzzedStream, wire: WireName): unknown {
  const decoded = decode(fuzzed.reads);
  const terminal = decoded.events.filter((event) => event.type === "finish" || event.type === "error");
  if (terminal.length !== 1 || decoded.events.at(-1) !== terminal[0]) return "not exactly one end";
  const { streamed, whole } = encode(wire, decoded);
  if (streamed.problems.length > 0) return streamed.problems;
  if (streamed.end !== terminal[0]?.type) return `ends in ${streamed.end}`;
  if (streamed.end === "finish" && !fuzzed.mayFinish) return "a false finish";
  if (streamed.end === "finish" && !sameAnswer(readWhole(wire, whole), streamed, streamed.reason))
    return "the whole answer differs from its stream";
  if (fuzzed.said === undefined) return undefined;
  const calls = streamed.calls.map(({ name, arguments: text }) => ({ name, arguments: text }));
  const said = { text: streamed.text, reasoning: streamed.reasoning, calls };
  return JSON.stringify(said) === JSON.stringify(fuzzed.said) ? undefined : { said, wanted: fuzzed.said };
}

type Said = Pick<Verdict, "text" | "reasoning" | "calls" | "reason">;

function sameAnswer(whole: Said, streamed: Said, reason: string | undefined): boolean {
  const calls = (said: Said): unknown => said.calls.map(({ id, name }) => [id, name]);
  const inputs = (said: Said): unknown =>
    said.calls.map((call) => (call.arguments === "" ? "{}" : call.arguments)).map(parsed);
  return (
    whole.text === streamed.text &&
    whole.reasoning === streamed.reasoning &&
    whole.reason === reason &&
    JSON.stringify(calls(whole)) === JSON.stringify(calls(streamed)) &&
    JSON.stringify(inputs(whole)) === JSON.stringify(inputs(streamed))
  );
}

/** A whole answer has what is no JSON as a JSON string of it (Anthropic) or as it is (OpenAI). */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

test.each(["anthropic", "openai"] as const)(
  "Streams > %s > spoiled streams keep to the grammar and never finish falsely",
  (wire) => {
    const ends = { finish: 0, error: 0 };
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      const fuzzed = fuzzedStream(seed);
      let wrong: unknown;
      try {
        wrong = complaint(fuzzed, wire);
      } catch (thrown) {
        wrong = thrown;
      }
      if (wrong !== undefined)
        expect.fail(
          `seed ${seed}, ${fuzzed.spoiled}: ${wrong instanceof Error ? wrong.stack : JSON.stringify(wrong)}\n${Buffer.concat(fuzzed.reads).subarray(0, 3_000).toString()}`,
        );
      ends[fuzzed.mayFinish ? "finish" : "error"]++;
    }
    // Both kinds were there to be judged.
    expect(Math.min(ends.finish, ends.error)).toBeGreaterThan(RUNS / 20);
  },
  3_600_000,
);

test("Streams > both > any split of the engine's bytes gives the same bytes to the client", () => {
  for (let seed = FIRST; seed < FIRST + RUNS / 10; seed++) {
    const { reads } = fuzzedStream(seed);
    const bytes = Buffer.concat(reads);
    const together = decode([bytes]);
    for (const other of [reads, bytes.length < 5_000 ? Array.from(bytes, (byte) => Buffer.from([byte])) : []]) {
      if (other.length === 0) continue;
      const apart = decode(other);
      for (const wire of ["anthropic", "openai"] as const) {
        expect(withoutMadeIds(encode(wire, apart)), `seed ${seed}`).toBe(withoutMadeIds(encode(wire, together)));
      }
    }
  }
});
