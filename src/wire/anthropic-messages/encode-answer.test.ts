import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromByteText, toByteText } from "../../conversation/byte-text.ts";
import type { StreamEvent } from "../../conversation/stream-event.ts";
import { answerContext, call, foldAnswer, judge, reasoning, stop, streamBytes, text } from "./__fixtures__/answer.ts";
import { encodeAnswer } from "./encode-answer.ts";

const encoded = (events: StreamEvent[]) => fromByteText(encodeAnswer(foldAnswer(events), answerContext()));

describe("encodeAnswer", () => {
  it("writes Anthropic's message object", () => {
    const context = answerContext({}, { prompt: 50, cached: 48, completion: 9 });
    const answer = foldAnswer([reasoning("Hm"), text("Grüße"), ...call(0, "c1", "Bash", '{"command":"ls"}'), stop]);
    expect(JSON.parse(fromByteText(encodeAnswer(answer, context)))).toEqual({
      id: "msg_Ab-c_123",
      type: "message",
      role: "assistant",
      model: "claude-opus-4-8",
      content: [
        { type: "thinking", thinking: "Hm", signature: context.signReasoning(toByteText("Hm"), context.servedModel) },
        { type: "text", text: "Grüße" },
        { type: "tool_use", id: "c1", name: "Bash", input: { command: "ls" } },
      ],
      stop_reason: "tool_use",
      stop_sequence: null,
      stop_details: null,
      usage: { input_tokens: 2, cache_creation_input_tokens: 0, cache_read_input_tokens: 48, output_tokens: 9 },
    });
  });

  it("splices arguments in as the model wrote them", () => {
    const args = '{ "id": 9007199254740993, "b": [1.50, "ü"] }';
    expect(encoded([...call(0, "c", "T", args), stop])).toContain(`"input":${args}`);
  });

  it.each(["", "  ", "\n"])("takes the empty arguments %j for no arguments", (args) => {
    expect(encoded([...call(0, "c", "T", args), stop])).toContain('"input":{}');
  });

  it.each(['{"path": "/a/ü', "[1]", '"x"', "null", "7", "{}}", "ls -la", '{"a":1}{"b":2}'])(
    "hands the arguments %j on as a string, for the client to refuse",
    (args) => {
      const message = JSON.parse(encoded([...call(0, "c", "T", args), stop])) as { content: { input: unknown }[] };
      expect(message.content[0]!.input).toBe(args);
    },
  );
});

/** Deltas as engines send them: cut anywhere between code points, some of them empty. */
const bytesOf = (words: string, cuts: number[]) => {
  const points = Array.from(words);
  const places = [0, ...cuts.map((cut) => cut % (points.length + 1)).sort((a, b) => a - b), points.length];
  return places.slice(1).map((place, at) => toByteText(points.slice(places[at], place).join("")));
};
const words = fc.string({ unit: "grapheme", maxLength: 12 });
const cuts = fc.array(fc.nat(40), { maxLength: 3 });
type Step = (index: number) => StreamEvent[];
const textStep = fc.tuple(words, cuts).map(([all, at]): Step => {
  const events = bytesOf(all, at).map((part): StreamEvent => ({ type: "text-delta", text: part }));
  return () => events;
});
const reasoningStep = fc.tuple(words, cuts).map(([all, at]): Step => {
  const events = bytesOf(all, at).map((part): StreamEvent => ({ type: "reasoning-delta", text: part }));
  return () => events;
});
const input = fc.dictionary(words, fc.jsonValue(), { maxKeys: 3 });
const callStep = fc
  .tuple(fc.string({ maxLength: 8 }), words, input, cuts)
  .map(([id, name, args, at]): Step => (index) => {
    const parts = bytesOf(JSON.stringify(args), at);
    const deltas = parts.map((part): StreamEvent => ({ type: "tool-call-delta", index, arguments: part }));
    return [{ type: "tool-call-start", index, id, name }, ...deltas];
  });
const step = fc.oneof(textStep, reasoningStep, callStep);
const reason = fc.constantFrom("stop" as const, "length" as const, "tool-calls" as const, "content-filter" as const);
const finish: fc.Arbitrary<StreamEvent> = fc.oneof(
  reason.map((why): StreamEvent => ({ type: "finish", reason: why })),
  words.map((stopSequence): StreamEvent => ({ type: "finish", reason: "stop-sequence", stopSequence })),
);
const answers = fc.tuple(fc.array(step, { maxLength: 7 }), finish).map(([steps, end]) => {
  let calls = 0;
  const events = steps.flatMap((make) => {
    const made = make(calls);
    if (made[0]?.type === "tool-call-start") calls += 1;
    return made;
  });
  events.push(end);
  return events;
});

describe("the two ways of answering", () => {
  it("say the same: a whole answer equals its stream as the SDK collects it, however the bytes arrive", async () => {
    await fc.assert(
      fc.asyncProperty(answers, fc.integer({ min: 1, max: 400 }), async (events, size) => {
        const report = { prompt: 90, cached: 64, completion: 7, reasoning: 2 };
        const streamed = await judge(streamBytes(events, answerContext({}, report)), size);
        const whole: unknown = JSON.parse(fromByteText(encodeAnswer(foldAnswer(events), answerContext({}, report))));
        expect(JSON.parse(JSON.stringify(streamed))).toEqual({ ...(whole as object), parsed_output: null });
      }),
      { numRuns: 300 },
    );
  });
});
