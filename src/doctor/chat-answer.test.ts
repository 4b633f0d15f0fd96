import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { askChat, readStream, readWhole } from "./chat-answer.ts";
import { played, refusal, stream } from "./__fixtures__/replies.ts";

const recorded = (name: string): string =>
  readFileSync(new URL(`../engine/__fixtures__/vllm-0.32.0/${name}.sse`, import.meta.url), "utf8");

describe("a streamed answer", () => {
  it("is put together: calls of a real engine", () => {
    expect(readStream(recorded("stream-tools-auto"))).toMatchObject({
      content: "",
      calls: [{ name: "get_weather", arguments: '{"city": "Paris"}' }],
      finish: "tool_calls",
    });
  });

  it("keeps reasoning apart from text", () => {
    expect(readStream(recorded("stream-reasoning"))).toMatchObject({
      content: "",
      reasoning: expect.stringMatching(/\w/),
    });
  });

  it("says on how many chunks usage ran along", () => {
    const running = readStream(recorded("stream-continuous"));
    expect(running).toMatchObject({ usage: { prompt: expect.any(Number), completion: expect.any(Number) } });
    if (typeof running === "string") throw new Error(running);
    expect(running.chunks).toBeGreaterThan(3);
    expect(running.chunksWithUsage).toBe(running.chunks);
    expect(readStream(recorded("stream-usage"))).toMatchObject({ chunksWithUsage: 0, usage: { prompt: 22 } });
    expect(readStream(recorded("stream-no-usage"))).toMatchObject({ chunksWithUsage: 0, usage: undefined });
  });

  it("keeps parallel calls apart", () => {
    const call = (index: number, part: object) => ({ tool_calls: [{ index, function: part }] });
    const { text } = stream([
      call(0, { name: "a" }),
      call(1, { name: "b" }),
      call(0, { arguments: "{" }),
      call(1, { arguments: "{}" }),
      call(0, { arguments: "}" }),
    ]);
    expect(readStream(text)).toMatchObject({
      calls: [
        { name: "a", arguments: "{}" },
        { name: "b", arguments: "{}" },
      ],
    });
  });

  it.each([
    ["breaks off", 'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n', /broke off/],
    [
      "holds an error",
      'data: {"error":{"message":"EngineCore died","code":500}}\n\ndata: [DONE]\n\n',
      /EngineCore died/,
    ],
    ["is none", "<html>\n\n", /no event/],
    ["holds no JSON", "data: {\n\n", /no JSON/],
  ])("that %s is no answer", (_, text, problem) => {
    expect(readStream(text)).toMatch(problem);
  });
});

describe("a whole answer", () => {
  it("that is no completion is none", () => {
    for (const text of ["", "[]", '{"choices":[]}', '{"choices":[{}]}'])
      expect(readWhole(text)).toMatch(/no chat completion/);
  });

  it("that is refused comes in the engine's own words", async () => {
    const ask = played(() => refusal("no such thing"));
    expect(await askChat(ask, {})).toEqual({ kind: "refused", status: 400, words: "400: no such thing" });
  });
});
