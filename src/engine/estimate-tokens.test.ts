import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { estimateTokens, guessTokens } from "./estimate-tokens.ts";

const bodyOf = (content: unknown) => JSON.stringify({ model: "m", messages: [{ role: "user", content }] });
/** Tokens of the text alone, without the message around it. */
const estimate = (text: string) => estimateTokens(bodyOf(text)) - estimateTokens(bodyOf(""));

const CODE = `export function parse(text: string): Result {
  const lines = text.split("\\n");
  for (let i = 0; i < lines.length; i++) {
    if (lines[i]?.startsWith("#")) continue; // a comment
  }
  return { kind: "ok", value: lines.map((line) => line.trim()) };
}
`;

describe("estimateTokens", () => {
  // Counted with the tokenizers of Qwen3 and of gpt-oss (o200k); the estimate is to be near both.
  it.each([
    [
      "English",
      "The quick brown fox jumps over the lazy dog, and then it goes home to sleep for the rest of the day.",
      24,
      24,
    ],
    ["code", CODE, 73, 74],
    ["Chinese", "人工智能正在改变世界，开发者需要更好的工具来构建应用程序。请用简洁的语言解释一下。", 20, 27],
    [
      "German",
      "Künstliche Intelligenz verändert die Welt, Entwickler benötigen bessere Werkzeuge. Übergrößenträger müssen früh aufstehen.",
      38,
      26,
    ],
  ])("is near real tokenizers on %s", (_what, text, qwen, o200k) => {
    expect(estimate(text)).toBeGreaterThan(Math.min(qwen, o200k) * 0.8);
    expect(estimate(text)).toBeLessThan(Math.max(qwen, o200k) * 1.4);
  });

  it("takes an image for what it costs a model, not for its bytes", () => {
    const image = (size: number) =>
      bodyOf([{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(size)}` } }]);
    expect(estimateTokens(image(1_000_000))).toBe(estimateTokens(image(4)));
    expect(estimateTokens(image(4))).toBeGreaterThan(1_000);
  });

  it("never shrinks when text is added, and is positive for anything", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        expect(estimateTokens(bodyOf(a))).toBeGreaterThan(0);
        expect(estimateTokens(bodyOf(`${a} ${b}`))).toBeGreaterThanOrEqual(estimateTokens(bodyOf(a)) - 1);
      }),
    );
  });
});

describe("guessTokens", () => {
  it.each(["claude-code-resume", "claude-code-subagent", "claude-code-tool-reference", "opencode-tool-result"])(
    "is near the estimate of the whole request on %s",
    (name) => {
      const body = readFileSync(
        new URL(`../wire/anthropic-messages/__fixtures__/${name}.json`, import.meta.url),
        "utf8",
      );
      expect(Math.abs(guessTokens(body) / estimateTokens(body) - 1)).toBeLessThan(0.12);
      const long = body.repeat(5);
      expect(Math.abs(guessTokens(long) / estimateTokens(long) - 1)).toBeLessThan(0.12);
    },
  );

  it("is the estimate of what is short, or has images", () => {
    for (const body of [CODE, `${CODE.repeat(100)}data:image/png;base64,`])
      expect(guessTokens(body)).toBe(estimateTokens(body));
  });
});
