import { describe, expect, it } from "vitest";
import type { ThinkingSwitch } from "./prompt-profile.ts";
import { effortLevel, thinkingArguments } from "./thinking-arguments.ts";

const on = { mode: "on" } as const;
const off = { mode: "off" } as const;
const unset = { mode: "unset" } as const;

describe("thinkingArguments", () => {
  it("says what the client said through a template's flag", () => {
    const flag: ThinkingSwitch = { by: "flag", name: "thinking" };
    expect(thinkingArguments(on, flag)).toEqual({ template: { thinking: true } });
    expect(thinkingArguments(off, flag)).toEqual({ template: { thinking: false } });
    expect(thinkingArguments(unset, flag)).toEqual({ template: {} });
    expect(thinkingArguments(unset, { ...flag, unset: true })).toEqual({ template: { thinking: true } });
  });

  it("names an effort that the template knows", () => {
    const effort: ThinkingSwitch = { by: "effort", levels: ["low", "medium", "high"], unset: "medium" };
    expect(thinkingArguments({ mode: "on", effort: "max" }, effort)).toEqual({ template: {}, effort: "high" });
    expect(thinkingArguments(off, effort)).toEqual({ template: {}, effort: "low" });
    expect(thinkingArguments(on, effort)).toEqual({ template: {}, effort: "medium" });
  });

  it("asks no client where the model has a constant, or no switch", () => {
    for (const wish of [on, off, unset]) {
      expect(thinkingArguments(wish, { by: "constant", templateArguments: { reasoning_effort: "high" } })).toEqual({
        template: { reasoning_effort: "high" },
      });
      expect(thinkingArguments(wish, { by: "none" })).toEqual({ template: {} });
    }
  });
});

describe("effortLevel", () => {
  it("takes the nearest level, the weaker of two", () => {
    expect(effortLevel({ mode: "on", effort: "xhigh" }, ["low", "high"])).toBe("high");
    expect(effortLevel({ mode: "on", effort: "medium" }, ["low", "high"])).toBe("low");
    expect(effortLevel({ mode: "on", effort: "loud" }, ["low", "high"])).toBeUndefined();
    expect(effortLevel({ mode: "on" }, ["low", "high"])).toBeUndefined();
  });

  it("never turns thinking off for a client that wants some, where it need not", () => {
    expect(effortLevel({ mode: "on", effort: "minimal" }, ["none", "low"])).toBe("low");
  });
});
