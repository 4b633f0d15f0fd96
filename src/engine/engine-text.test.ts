import { describe, expect, it } from "vitest";
import { cleanEngineText } from "./engine-text.ts";

describe("cleanEngineText", () => {
  it.each([
    ["a plain sentence", "out of memory", "out of memory"],
    ["several lines", "one\n\ttwo\u0000", "one two"],
    ["a Python stack", 'boom\nTraceback (most recent call last):\n  File "/a/b.py", line 1\nValueError', "boom"],
    ["a Python stack without its title", 'boom\n  File "/a/b.py", line 1, in f\n    raise', "boom"],
    ["a JavaScript stack", "Error: boom\n    at f (/srv/app/x.js:1:2)\n    at g", "Error: boom"],
    ["a native stack", "boom\n#0 0x1234 in main", "boom"],
    ["paths", "cannot read /root/models/m/config.json or C:\\models\\m.gguf", "cannot read … or …"],
    [
      "what is no path",
      "see https://docs.vllm.ai/en/latest and use /v1 and/or 1/2",
      "see https://docs.vllm.ai/en/latest and use /v1 and/or 1/2",
    ],
    [
      "a proxy's page",
      "<!DOCTYPE html><html><head><title>504 Gateway Time-out</title></head><body>x</body></html>",
      "504 Gateway Time-out",
    ],
    ["a page without a title", "<html><body>secret</body></html>", ""],
    [
      "validation errors, without the input that they echo",
      "2 validation errors:\n  {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', 'input': 'my secret prompt'}\n  {'type': 'x', 'loc': 'body.n', 'msg': \"isn't a number\", 'input': 'more'}",
      "body.messages: Field required; body.n: isn't a number",
    ],
    [
      "validation errors of pydantic's own form",
      "1 validation error for ChatCompletionRequest\nmodel\n  Field required [type=missing, input_value={'my': 'secret'}, input_type=dict]",
      "for ChatCompletionRequest model Field required",
    ],
  ])("makes of %s", (_what, text, expected) => {
    expect(cleanEngineText(text)).toBe(expected);
  });

  it("is bounded, and fast on anything long", () => {
    expect(cleanEngineText("x".repeat(1_000_000))).toBe(`${"x".repeat(399)}…`);
    expect(cleanEngineText("/a".repeat(500_000)).length).toBeLessThanOrEqual(400);
    expect(cleanEngineText("\\".repeat(500_000)).length).toBeLessThanOrEqual(400);
  });
});
