import { describe, expect, it } from "vitest";
import { UsageFold } from "../conversation/usage.ts";
import { calls, chunk, decode, DONE, finish, sse } from "./__fixtures__/chunks.ts";
import { ChatStreamDecoder } from "./chat-stream-decoder.ts";

describe("usage", () => {
  const usageOf = (...reports: unknown[]) =>
    decode(
      reports.map((usage) => sse({ choices: [], usage })).join("") +
        chunk({ content: "12345678" }) +
        finish("stop") +
        DONE,
    ).usage;

  it.each([
    [
      "partial, then whole",
      [{ prompt_tokens: 5 }, { prompt_tokens: 5, completion_tokens: 3 }],
      { inputUncached: 5, output: 3 },
    ],
    [
      "doubled",
      [
        { prompt_tokens: 5, completion_tokens: 3 },
        { prompt_tokens: 5, completion_tokens: 3 },
      ],
      { inputUncached: 5, output: 3 },
    ],
    [
      "shrinking",
      [
        { prompt_tokens: 5, completion_tokens: 30 },
        { prompt_tokens: 0, completion_tokens: 1 },
      ],
      { inputUncached: 5, output: 30 },
    ],
    [
      "null",
      [null, { prompt_tokens: 5, completion_tokens: 3, prompt_tokens_details: null }],
      { inputUncached: 5, output: 3 },
    ],
    [
      "of wrong types",
      [
        { prompt_tokens: "5", completion_tokens: -3 },
        { prompt_tokens: 5, completion_tokens: 1.5 },
      ],
      { inputUncached: 5, output: 2 },
    ],
    [
      "with details",
      [
        {
          prompt_tokens: 100,
          completion_tokens: 9,
          prompt_tokens_details: { cached_tokens: 64, created_cache_tokens: 16 },
          completion_tokens_details: { reasoning_tokens: 4 },
        },
      ],
      { inputUncached: 36, cacheRead: 64, cacheWrite: 0, output: 9, reasoning: 4 },
    ],
    ["of SGLang", [{ prompt_tokens: 10, completion_tokens: 9, reasoning_tokens: 4 }], { output: 9, reasoning: 4 }],
    [
      "of DeepSeek",
      [{ prompt_tokens: 10, completion_tokens: 9, prompt_cache_hit_tokens: 6 }],
      { inputUncached: 4, cacheRead: 6 },
    ],
  ])("that is %s", (_what, reports, expected) => {
    expect(usageOf(...reports).usage).toMatchObject(expected);
  });

  it("is read from llama.cpp's timings", () => {
    const { usage } = decode(
      sse({ choices: [], timings: { cache_n: 100, prompt_n: 20, predicted_n: 3 } }) + finish("stop") + DONE,
    );
    expect(usage.usage).toMatchObject({ inputUncached: 20, cacheRead: 100, output: 3 });
  });

  it("is the gateway's own count, by chunks or by bytes, where the engine reports none", () => {
    const own = (...parts: string[]) => decode([...parts, finish("stop"), DONE].join("")).usage;
    expect([
      own(chunk({ content: "a" }), chunk({ reasoning: "b" })).output,
      own(chunk({ content: "x".repeat(400) })).output,
    ]).toEqual([2, 100]);
    expect(
      own(calls({ index: 0, id: "a", function: { name: "f", arguments: `{"x":"${"y".repeat(93)}"}` } })).output,
    ).toBe(26);
    expect(own(chunk({ content: "a" })).countedBy).toBe("gateway");
  });

  it("keeps the running count when the gateway wants no more", () => {
    const usage = new UsageFold();
    const decoder = new ChatStreamDecoder(usage);
    decoder.push(Buffer.from(chunk({ content: "a" }) + chunk({ content: "b" })));
    decoder.abandon();
    expect([usage.output, decoder.push(Buffer.from(DONE))]).toEqual([2, []]);
  });
});
