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
          const ask = () =>
            fitToWindow({
              requested,
              cap: undefined,
              window,
              prompt: { known: "counted", tokens: prompt },
              cutsPrompts: false,
            });
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

  test("refuses a prompt that fills the window to the last token: there is none left for an answer", () => {
    const ask = (tokens: number) =>
      fitToWindow({
        requested: 100,
        cap: undefined,
        window: 8_192,
        prompt: { known: "counted", tokens },
        cutsPrompts: false,
      });
    expect(() => ask(8_192)).toThrow("prompt is too long: 8192 tokens > 8192 maximum");
    expect(ask(8_191)).toEqual({ kind: "fits", maxTokens: 1 });
  });

  test("does not count when even the upper bound fits", () => {
    expect(
      fitToWindow({
        requested: 32_000,
        cap: undefined,
        window: 196_608,
        prompt: { known: "at-most", tokens: 50_000 },
        cutsPrompts: false,
      }),
    ).toEqual({ kind: "fits", maxTokens: 32_000 });
    expect(
      fitToWindow({
        requested: 32_000,
        cap: undefined,
        window: 65_536,
        prompt: { known: "at-most", tokens: 50_000 },
        cutsPrompts: false,
      }),
    ).toEqual({ kind: "count-first" });
  });

  test("leaves the limit to the engine when nobody set one", () => {
    expect(
      fitToWindow({
        requested: undefined,
        cap: undefined,
        window: 100,
        prompt: { known: "at-most", tokens: 99 },
        cutsPrompts: false,
      }),
    ).toEqual({ kind: "fits", maxTokens: undefined });
  });

  test("keeps to the model's own cap", () => {
    expect(
      fitToWindow({
        requested: 32_000,
        cap: 8_000,
        window: undefined,
        prompt: { known: "at-most", tokens: 0 },
        cutsPrompts: false,
      }),
    ).toEqual({ kind: "fits", maxTokens: 8_000 });
    expect(
      fitToWindow({
        requested: undefined,
        cap: 8_000,
        window: undefined,
        prompt: { known: "at-most", tokens: 0 },
        cutsPrompts: false,
      }),
    ).toEqual({ kind: "fits", maxTokens: 8_000 });
  });

  test("an estimate clamps, but leaves room for an answer, and refuses nothing where the engine would", () => {
    const ask = (requested: number, tokens: number, cutsPrompts = false) =>
      fitToWindow({ requested, cap: undefined, window: 32_768, prompt: { known: "estimated", tokens }, cutsPrompts });
    expect(ask(1_000, 55_381)).toEqual({ kind: "fits", maxTokens: 1_000 });
    expect(ask(32_000, 20_000)).toEqual({ kind: "fits", maxTokens: 12_768 });
    expect(ask(32_000, 30_000)).toEqual({ kind: "fits", maxTokens: 4_096 });
    expect(ask(32_000, 1_000_000)).toEqual({ kind: "fits", maxTokens: 4_096 });
    expect(
      fitToWindow({
        requested: 9_000,
        cap: 5_000,
        window: 8_192,
        prompt: { known: "estimated", tokens: 8_000 },
        cutsPrompts: false,
      }),
    ).toEqual({ kind: "fits", maxTokens: 2_048 });
    // Where nobody would say that the prompt was cut, what is far too long is said here.
    expect(ask(1_000, 42_000, true)).toEqual({ kind: "fits", maxTokens: 1_000 });
    expect(() => ask(1_000, 55_381, true)).toThrow("prompt is too long: 55381 tokens > 32768 maximum");
  });
});
