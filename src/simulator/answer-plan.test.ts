import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Plan, type PlanContext, planAnswer } from "./answer-plan.ts";
import type { Turn } from "./script.ts";

const CONTEXT: PlanContext = {
  maxTokens: 100_000,
  stop: [],
  includeStop: false,
  parsesCalls: true,
  parsesReasoning: true,
  forcedCall: "none",
  nextId: () => "0123456789abcdef",
};

type Delta = {
  content?: string | null;
  reasoning?: string;
  reasoning_content?: string;
  tool_calls?: { index: number; id?: string; function: { name?: string; arguments?: string } }[];
};

const deltas = (plan: Plan): Delta[] =>
  plan.frames.map(({ delta }) => JSON.parse(Buffer.from(delta, "latin1").toString("utf8")));

/** What a client makes of a stream. */
function collected(plan: Plan) {
  let [content, reasoning] = ["", ""];
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const delta of deltas(plan)) {
    content += delta.content ?? "";
    reasoning += delta.reasoning ?? delta.reasoning_content ?? "";
    for (const { index, id, function: called } of delta.tool_calls ?? []) {
      if (id !== undefined) calls[index] = { id, name: called.name ?? "", arguments: "" };
      calls[index]!.arguments += called.arguments ?? "";
    }
  }
  return { content, reasoning, calls };
}

const text = fc.string({ unit: "grapheme", maxLength: 60 });
const turns: fc.Arbitrary<Turn> = fc.record(
  {
    text: fc.oneof(text, fc.array(text, { maxLength: 8 })),
    reasoning: text,
    calls: fc.array(fc.record({ name: text, arguments: fc.oneof(text, fc.dictionary(text, text)) }), { maxLength: 3 }),
    argumentPieces: fc.integer({ min: 1, max: 9 }),
    escapes: fc.boolean(),
    oldReasoningField: fc.boolean(),
  },
  { requiredKeys: [] },
);

test("a stream adds up to the whole answer, and token counts only rise", () => {
  fc.assert(
    fc.property(turns, fc.array(text, { maxLength: 2 }), (turn, stop) => {
      const plan = planAnswer(turn, { ...CONTEXT, stop });
      const { content, reasoning, calls } = collected(plan);
      expect(content).toBe(plan.content ?? "");
      expect(reasoning).toBe(plan.reasoning ?? "");
      expect(calls).toEqual(plan.calls);
      const counts = plan.frames.map(({ tokens }) => tokens);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(counts.at(-1) ?? 0).toBeLessThanOrEqual(plan.tokens);
    }),
  );
});

test("the limit is never passed, and reaching it is told", () => {
  fc.assert(
    fc.property(turns, fc.integer({ min: 1, max: 40 }), (turn, maxTokens) => {
      const whole = planAnswer(turn, CONTEXT);
      const plan = planAnswer(turn, { ...CONTEXT, maxTokens });
      expect(plan.tokens).toBe(Math.min(whole.tokens, maxTokens));
      expect(plan.finish).toBe(whole.tokens > maxTokens ? "length" : whole.finish);
      expect(whole.content ?? "").toContain(collected(plan).content);
    }),
  );
});

describe("stop sequences", () => {
  const pieces = ["The ", "cap", "ital ", "of F", "rance is"];
  test("end the text before them, with the tokens that it took to see them", () => {
    const plan = planAnswer(
      { text: pieces, calls: [{ name: "never", arguments: {} }] },
      { ...CONTEXT, stop: ["zzz", "France"] },
    );
    expect(plan).toMatchObject({
      content: "The capital of ",
      finish: "stop",
      stopReason: "France",
      tokens: 5,
      calls: [],
    });
    expect(plan.finishOnLastFrame).toBe(true);
  });
  test("are never shown in part: what could begin one is held back, as a live vLLM streamed it", () => {
    const paris = { text: ["The", " capital", " of", " France", " is", " Paris", "."] };
    const plan = planAnswer(paris, { ...CONTEXT, stop: ["France"] });
    expect(deltas(plan).map(({ content }) => content)).toEqual(["The ca", "pit", "al of "]);
  });
  test("stand in the text where that was asked for", () => {
    const plan = planAnswer({ text: pieces }, { ...CONTEXT, stop: ["France"], includeStop: true });
    expect(plan.content).toBe("The capital of France");
  });
});

describe("parsers", () => {
  const call = '<tool_call>\n{"name": "read", "arguments": {"path": "a"}}\n</tool_call>';
  test("read reasoning and calls out of raw text", () => {
    const plan = planAnswer({ raw: `<think>\nHm.\n</think>\n\nLook:\n${call}\n${call}` }, CONTEXT);
    expect(plan).toMatchObject({ reasoning: "Hm.", content: "Look:\n", finish: "tool_calls" });
    expect(plan.calls.map((made) => made.arguments)).toEqual(['{"path":"a"}', '{"path":"a"}']);
  });
  test("leave all as text where one call is no JSON", () => {
    const raw = `${call}<tool_call>{oops</tool_call>`;
    expect(planAnswer({ raw }, { ...CONTEXT, parsesReasoning: false })).toMatchObject({
      content: raw,
      calls: [],
      finish: "stop",
    });
  });
  test("take everything for reasoning when thinking is never closed", () => {
    expect(planAnswer({ raw: "all of it" }, CONTEXT)).toMatchObject({ content: null, reasoning: "all of it" });
  });
  test("an engine without them shows what the model wrote", () => {
    const turn: Turn = { reasoning: "Hm.", text: "Look:", calls: [{ name: "read", arguments: { path: "a" } }] };
    const plan = planAnswer(turn, { ...CONTEXT, parsesCalls: false, parsesReasoning: false });
    expect(plan.content).toBe(
      '<think>\nHm.\n</think>\n\nLook:\n<tool_call>\n{"name": "read", "arguments": {"path":"a"}}\n</tool_call>',
    );
    expect(plan).toMatchObject({ reasoning: null, calls: [], finish: "stop" });
  });
  test("a call that is cut off stays text without a stream", () => {
    const plan = planAnswer(
      { text: "Look:", calls: [{ name: "read", arguments: { path: "a long one" } }] },
      { ...CONTEXT, maxTokens: 22 },
    );
    expect(plan).toMatchObject({ finish: "length", calls: [] });
    expect(plan.content).toContain('Look:<tool_call>\n{"name": "read", "arguments": {');
  });
});

test("arguments come in pieces of the size that the script wants, none with half a character", () => {
  const plan = planAnswer({ calls: [{ name: "a", arguments: '{"x":"👩👩"}' }], argumentPieces: 3 }, CONTEXT);
  const sent = deltas(plan).flatMap(
    ({ tool_calls: calls }) => calls?.map((part) => part.function.arguments ?? "") ?? [],
  );
  expect(sent).toEqual(["", '{"x', '":"', "👩", '👩"', "}"]);
  expect(plan.calls).toEqual([{ id: "chatcmpl-tool-0123456789abcdef", name: "a", arguments: '{"x":"👩👩"}' }]);
});

test("escapes leave nothing but ASCII", () => {
  const plan = planAnswer({ text: "é/👩\u2028", escapes: true }, CONTEXT);
  expect(plan.frames.map(({ delta }) => delta).join("")).toMatch(/^[\x20-\x7e]*\\u00e9[\x20-\x7e]*\\ud83d\\udc69/);
  expect(collected(plan).content).toBe("é/👩\u2028");
});

test("an empty answer has no frames and one token", () => {
  expect(planAnswer({}, CONTEXT)).toMatchObject({ frames: [], content: "", tokens: 1, finish: "stop" });
});
