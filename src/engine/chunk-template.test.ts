import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChunkTemplate, type ChunkShape } from "./chunk-template.ts";
import { readUsage } from "./usage-report.ts";

type Said = { field?: string; text: string; completion?: number; details?: string };

/** A chunk as vLLM writes it. */
function chunk({ field = "content", text, completion = 1, details = "" }: Said): string {
  const delta = `{${JSON.stringify(field)}:${JSON.stringify(text)}}`;
  const usage = `"usage":{"prompt_tokens":9,"total_tokens":${9 + completion},"completion_tokens":${completion}${details}}`;
  return `{"id":"c-1","object":"chat.completion.chunk","created":1795360340,"model":"m","choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":null,"token_ids":null}],${usage}}`;
}

function taught(...chunks: string[]): ChunkTemplate {
  const template = new ChunkTemplate();
  for (const data of chunks) template.learn(data, JSON.parse(data) as ChunkShape);
  return template;
}

describe("a chunk like the one before", () => {
  it("is read: its text and its counts", () => {
    const template = taught(chunk({ text: "a" }));
    expect(template.read(chunk({ text: "Grüße", completion: 22 }))).toEqual({
      field: "content",
      text: "Grüße",
      report: { prompt: 9, completion: 22 },
    });
    expect(template.read(chunk({ text: 'say "hi"\n\\t' }))?.text).toBe('say "hi"\n\\t');
    expect(template.read(chunk({ text: "" }))?.text).toBe("");
  });

  it("is read with counts in details, wherever they stand", () => {
    const details = `,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}`;
    const template = taught(chunk({ field: "reasoning", text: "a", details }));
    const next = chunk({ field: "reasoning", text: "b", completion: 3, details: details.replace(":2}", ":3}") });
    expect(template.read(next)?.report).toEqual({ prompt: 9, completion: 3, cached: 4, reasoning: 3 });
  });

  it("is read without usage", () => {
    const bare = (text: string) => `{"choices":[{"delta":{"content": "${text}"}}],"usage":null}`;
    expect(taught(bare("a")).read(bare("b"))).toEqual({ field: "content", text: "b", report: undefined });
  });
});

describe("a chunk that must be parsed", () => {
  const template = taught(chunk({ text: "abc" }));

  it.each([
    ["another field", chunk({ field: "reasoning", text: "a" })],
    ["an escape that stands for a code point", chunk({ text: "a" }).replace('"a"', String.raw`"\u00e4"`)],
    ["an escape that is none", chunk({ text: "a" }).replace('"a"', String.raw`"\x"`)],
    ["a control character", chunk({ text: "a" }).replace('"a"', '"\t"')],
    ["a finish reason", chunk({ text: "a" }).replace('"finish_reason":null', '"finish_reason":"stop"')],
    ["another field more", chunk({ text: "a" }).replace('"token_ids":null', '"token_ids":null,"x":1')],
    ["something behind it", `${chunk({ text: "a" })} `],
    ["a count with a leading zero", chunk({ text: "a" }).replace('"prompt_tokens":9', '"prompt_tokens":09')],
    ["a count that is no whole number", chunk({ text: "a" }).replace('"prompt_tokens":9', '"prompt_tokens":9.5')],
    ["a count beyond 2^53", chunk({ text: "a" }).replace('"prompt_tokens":9', '"prompt_tokens":9007199254740993')],
    ["no end", chunk({ text: "a" }).slice(0, -1)],
    ["a text without end", chunk({ text: "a" }).slice(0, -220)],
    ["nothing", ""],
  ])("%s", (_, data) => {
    expect(template.read(data)).toBeUndefined();
  });

  it("teaches nothing when it says more than a text", () => {
    for (const [from, to] of [
      ['"finish_reason":null', '"finish_reason":"stop"'],
      ['"index":0', '"index":1'],
      ['"content":"a"', '"content":"a","tool_calls":[]'],
      ['"content":"a"', '"content":"a","reasoning":"b"'],
      ['"content":"a"', '"content":"a","content":"b"'],
      ['"content":"a"', '"refusal":"a"'],
      ['"prompt_tokens":9', '"prompt_tokens":1,"prompt_tokens":9'],
    ] as const) {
      const data = chunk({ text: "a" }).replace(from, to);
      expect(data).not.toBe(chunk({ text: "a" }));
      expect(taught(data).read(data)).toBeUndefined();
    }
  });
});

it("gives up on a stream whose chunks are all different", () => {
  const template = new ChunkTemplate();
  const odd = (n: number) => chunk({ text: "a" }).replace("c-1", `c-${n}`);
  for (let n = 0; n < 10; n++) template.learn(odd(n), JSON.parse(odd(n)) as ChunkShape);
  expect(template.read(odd(9))).toBeUndefined();
});

it("learns anew when the chunks change, as often as it was worth it", () => {
  const template = taught(chunk({ text: "a" }));
  for (let second = 0; second < 20; second++) {
    const data = (text: string) => chunk({ text }).replace("1795360340", String(1_795_360_340 + second));
    template.learn(data("a"), JSON.parse(data("a")) as ChunkShape);
    for (const text of ["a", "b", "c", "d"]) expect(template.read(data(text))?.text).toBe(text);
  }
});

it("never reads what a parser would read otherwise", () => {
  const texts = fc.oneof(fc.string({ unit: "binary-ascii" }), fc.constantFrom('"content":"', '"usage":{', "\\u0041"));
  const said = fc.record({
    field: fc.constantFrom("content", "reasoning", "reasoning_content"),
    text: texts,
    completion: fc.nat(),
    details: fc.constantFrom(
      "",
      `,"prompt_tokens_details":{"cached_tokens":4}`,
      `,"cost":1.5e3`,
      `,"completion_tokens":7`,
    ),
  });
  const edit = fc.record({
    at: fc.nat(400),
    drop: fc.nat(3),
    put: fc.constantFrom("", "0", "9", '"', "\\", "{", "}", ",", "null", "e", "-", " "),
  });
  let read = 0;
  fc.assert(
    fc.property(said, said, fc.array(edit, { maxLength: 2 }), fc.boolean(), (first, second, edits, edited) => {
      const taughtBy = chunk(first);
      let data = chunk(edited ? first : { ...second, field: first.field, details: first.details });
      for (const { at, drop, put } of edited ? edits : []) data = data.slice(0, at) + put + data.slice(at + drop);
      const found = taught(taughtBy).read(data);
      if (found === undefined) return;
      read++;
      const parsed = JSON.parse(data) as { choices: { delta: Record<string, string> }[]; usage: unknown };
      expect(parsed.choices[0]!.delta).toEqual({ [found.field]: found.text });
      const report = Object.entries(readUsage(parsed.usage)!).filter(([, value]) => value !== undefined);
      expect(found.report).toEqual(Object.fromEntries(report));
      // All else is as it was.
      const rest = (value: string) =>
        JSON.stringify(JSON.parse(value), (key, inner: unknown) =>
          key === found.field || key === "usage" ? 0 : inner,
        );
      expect(rest(data)).toBe(rest(taughtBy));
    }),
    { numRuns: 2_000 },
  );
  expect(read).toBeGreaterThan(100);
});
