import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import { fitToWindow } from "./fit-window.ts";

describe("fitToWindow", () => {
  test("never asks the engine for more than the window holds, and never refuses what fits", () => {
    const tokens = fc.integer({ min: 0, max: 300_000 });
    fc.assert(
      fc.property(
        tokens,
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 1, max: 262_144 }),
        (prompt, requested, window) => {
          const ask = () => fitToWindow({ requested, cap: undefined, window, prompt: { tokens: prompt, exact: true } });
          if (prompt >= window) {
            expect(ask).toThrow(
              new GatewayError("prompt_too_long", `prompt is too long: ${prompt} tokens > ${window} maximum`),
            );
            return;
          }
          expect(ask()).toEqual({ kind: "fits", maxTokens: Math.min(requested, window - prompt) });
        },
      ),
    );
  });

  test("does not count when even the upper bound fits", () => {
    expect(
      fitToWindow({ requested: 32_000, cap: undefined, window: 196_608, prompt: { tokens: 50_000, exact: false } }),
    ).toEqual({ kind: "fits", maxTokens: 32_000 });
    expect(
      fitToWindow({ requested: 32_000, cap: undefined, window: 65_536, prompt: { tokens: 50_000, exact: false } }),
    ).toEqual({ kind: "count-first" });
  });

  test("leaves the limit to the engine when nobody set one", () => {
    expect(
      fitToWindow({ requested: undefined, cap: undefined, window: 100, prompt: { tokens: 99, exact: false } }),
    ).toEqual({ kind: "fits", maxTokens: undefined });
  });

  test("keeps to the model's own cap", () => {
    expect(
      fitToWindow({ requested: 32_000, cap: 8_000, window: undefined, prompt: { tokens: 0, exact: false } }),
    ).toEqual({ kind: "fits", maxTokens: 8_000 });
    expect(
      fitToWindow({ requested: undefined, cap: 8_000, window: undefined, prompt: { tokens: 0, exact: false } }),
    ).toEqual({ kind: "fits", maxTokens: 8_000 });
  });
});
