import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UsageFold } from "../conversation/usage.ts";
import { ChatStreamDecoder } from "./chat-stream-decoder.ts";
import { ChunkTemplates } from "./chunk-template.ts";

type Shape = { field: string; id: string; usage: "running" | "none" | "detailed"; spaced: boolean };

/** A chunk as vLLM, SGLang (with its nulls) and llama.cpp's server (with spaces) write them. */
function chunk({ field, id, usage, spaced }: Shape, text: string, tokens: number): string {
  const delta = { ...(spaced && { role: null, tool_calls: null }), [field]: text };
  const counts = { prompt_tokens: 1_024, total_tokens: 1_024 + tokens, completion_tokens: tokens };
  const value = {
    id: `chatcmpl-${id}`,
    object: "chat.completion.chunk",
    created: 1_795_360_340,
    model: 'a "model"',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: null }],
    ...(usage === "running" && { usage: counts }),
    ...(usage === "detailed" && { usage: { ...counts, prompt_tokens_details: { cached_tokens: 3 } } }),
  };
  const json = JSON.stringify(value);
  return `data: ${spaced ? json.replaceAll(/(":)/g, "$1 ") : json}\n\n`;
}

function read(bytes: Buffer, { bytewise = false, templates = new ChunkTemplates() } = {}) {
  const usage = new UsageFold();
  const decoder = new ChatStreamDecoder(usage, undefined, undefined, templates);
  const pieces = bytewise ? Array.from(bytes, (byte) => Buffer.from([byte])) : [bytes];
  const events = [...pieces.flatMap((piece) => decoder.push(piece)), ...decoder.end()];
  return {
    events: events.map((event) => (event.type === "error" ? { ...event, error: event.error.message } : event)),
    usage: usage.usage,
    countedBy: usage.countedBy,
    counted: decoder.countedTokens,
  };
}

const shape = fc.record<Shape>({
  field: fc.constantFrom("content", "reasoning", "reasoning_content", "refusal"),
  id: fc.stringMatching(/^[0-9a-f]{1,32}$/),
  usage: fc.constantFrom("running", "none", "detailed"),
  spaced: fc.boolean(),
});
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom(
    " the",
    "\n",
    '"',
    "\\",
    "\t{",
    "\u0001",
    "é",
    "😀",
    "\ud800",
    ',"completion_tokens":7',
    '"content":"x"',
  ),
);
const END = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`;
const stream = fc
  .array(fc.tuple(fc.nat(2), text), { maxLength: 12 })
  .chain((parts) =>
    fc
      .array(shape, { minLength: 3, maxLength: 3 })
      .map((shapes) => parts.map(([which, piece], index) => chunk(shapes[which]!, piece, index + 1)).join("") + END),
  );

describe("reading chunks by templates", () => {
  it("gives what the parser alone gives", () => {
    fc.assert(
      fc.property(fc.array(stream, { minLength: 1, maxLength: 3 }), (streams) => {
        const templates = new ChunkTemplates(3);
        for (const each of streams) {
          const bytes = Buffer.from(each);
          // Byte by byte no event is whole in one read, so no template is ever used.
          expect(read(bytes, { templates })).toEqual(read(bytes, { bytewise: true }));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("gives what the parser alone gives of broken streams, too", () => {
    const edits = fc.array(
      fc.tuple(
        fc.nat(4_000),
        fc.nat(3),
        fc.constantFrom("", "0", "1", '"', "\\", "u", "\n", "\0", "}", ",", "é", "-", "."),
      ),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(stream, edits, (whole, changes) => {
        let broken = whole;
        for (const [place, drop, put] of changes) {
          const at = place % (broken.length + 1);
          broken = broken.slice(0, at) + put + broken.slice(at + drop);
        }
        const bytes = Buffer.from(broken);
        expect(read(bytes)).toEqual(read(bytes, { bytewise: true }));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    [
      "ends the answer",
      {
        choices: [{ index: 0, delta: { content: "x" }, finish_reason: "length" }],
      },
    ],
    ["brings reasoning beside the text", { choices: [{ index: 0, delta: { content: "x", reasoning: "y" } }] }],
    [
      "tells timings",
      {
        choices: [{ index: 0, delta: { content: "x" } }],
        timings: { prompt_n: 7, predicted_n: 9 },
      },
    ],
  ])("makes none of a chunk that %s", (_what, value) => {
    const templates = new ChunkTemplates();
    const head = `data: {"choices":[]}\n\n`;
    const bytes = Buffer.from(`${head}data: ${JSON.stringify(value)}\n\n${END}`);
    const first = read(bytes, { templates });
    expect(read(bytes, { templates })).toEqual(first);
    expect(first).toEqual(read(bytes, { bytewise: true }));
  });

  it("uses them: nearly all chunks of an answer are like one before, over all streams", () => {
    const templates = new ChunkTemplates();
    const one: Shape = { field: "content", id: "a1", usage: "running", spaced: false };
    read(Buffer.from(chunk(one, "", 0) + chunk(one, " the", 1) + END), { templates });
    const other = Buffer.from(chunk({ ...one, id: "b22" }, ' "quick"\n\tbrown é', 217));
    expect(templates.find(other, 0)).toMatchObject({
      field: "content",
      text: Buffer.from(' "quick"\n\tbrown é').toString("latin1"),
      usage: { prompt: 1_024, completion: 217 },
    });
    expect(templates.end).toBe(other.length);
    const last = chunk({ ...one, id: "b22" }, " fox", 218);
    for (const unlike of [
      last.slice(0, -1),
      last.replace("null}]", '"stop"}]'),
      last.replace('"index":0', '"index":1'),
      last.replace('a \\"model', 'a \\"modem'),
      last.replace(" fox", ""),
      last.replace(" fox", "\\u0041"),
      last.replace(" fox", "\\x"),
      last.replace("218}", "218.5}"),
      last.replace("218}", "0218}"),
      last.replace("218}", "-218}"),
      last.replace("218}", "9999999999999999}"),
      last.replace("1024,", ","),
    ]) {
      expect(unlike).not.toBe(last);
      expect(templates.find(Buffer.from(unlike), 0)).toBeUndefined();
    }
  });

  it("makes none where a name may mean something else", () => {
    const lesson = { field: "content", text: "a", usage: { prompt: 5, completion: 1 } } as const;
    const plain = (more: string) => `data: {"choices":[{"delta":{"content":"a"}}]${more}}\n\n`;
    const known = (event: string) => {
      const templates = new ChunkTemplates();
      templates.learn({ event, ...lesson });
      return templates.find(Buffer.from(event), 0) !== undefined;
    };
    expect(known(plain(',"usage":{"prompt_tokens":5,"completion_tokens":1}'))).toBe(true);
    for (const odd of [
      plain(',"x":"content"'),
      plain(',"x":{"content":"a"}'),
      plain(',"x":{"completion_tokens":2}'),
      plain(',"usage":{"prompt_tokens":5,"completion_tokens":1.5}'),
      plain(',"usage":{"prompt_tokens":5,"completion_tokens":"1"}'),
      plain("").replace("data: {", "data: {\ndata: "),
      plain("").replace("data: ", "event: x\ndata: "),
      plain("").replace("data: ", "data:"),
    ])
      expect(known(odd)).toBe(false);
  });

  it("forgets what nothing was like before what is used", () => {
    const templates = new ChunkTemplates(2);
    const event = (model: string, id = "1") =>
      `data: {"id":"${id}","model":"${model}","choices":[{"delta":{"content":"a"}}]}\n\n`;
    const learn = (model: string) =>
      templates.learn({ event: event(model), field: "content", text: "a", usage: undefined });
    const knows = (model: string) => templates.find(Buffer.from(event(model, "2")), 0) !== undefined;
    learn("used");
    expect(knows("used")).toBe(true);
    for (const model of ["x", "y", "z"]) learn(model);
    expect(["used", "x", "y", "z"].map(knows)).toEqual([true, false, false, true]);
  });
});
