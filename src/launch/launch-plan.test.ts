import { describe, expect, it } from "vitest";
import type { GatewayFacts } from "./gateway-facts.ts";
import { planLaunch } from "./launch-plan.ts";

const FACTS: GatewayFacts = {
  models: [
    { id: "big", context_window: 262_144, max_output: null },
    { id: "small", context_window: 40_960, max_output: null },
    { id: "odd", context_window: null, max_output: 4_096 },
  ],
  families: { opus: "big", sonnet: "big", haiku: "small", default: "big" },
};

const plan = (option?: string, environment?: string) =>
  planLaunch("http://127.0.0.1:4400/", "sk-1", FACTS, { option, environment });

describe("planLaunch", () => {
  it("starts with the gateway's default model and its window", () => {
    expect(plan()).toEqual({
      url: "http://127.0.0.1:4400",
      key: "sk-1",
      models: { main: "big", opus: "big", sonnet: "big", haiku: "small" },
      served: ["big", "small", "odd"],
      contextWindow: 262_144,
      maxOutput: 32_000,
    });
  });

  it.each([
    ["small", "small"],
    ["haiku", "small"],
    ["Opus[1m]", "big"],
    ["claude-haiku-4-5-20251001", "small"],
    ["claude-mythos-9", "big"],
    ["default", "big"],
  ])("takes --model %s for %s", (option, main) => {
    expect(plan(option)?.models.main).toBe(main);
  });

  it("refuses a --model that is neither served nor a family", () => {
    expect(plan("gpt-9")).toBeUndefined();
    expect(plan("")).toBeUndefined();
  });

  it("heeds the shell's ANTHROPIC_MODEL only where it is served, and --model before it", () => {
    expect(plan(undefined, "small")?.models.main).toBe("small");
    expect(plan(undefined, "claude-opus-4-1")?.models.main).toBe("big");
    expect(plan("big", "small")?.models.main).toBe("big");
  });

  it("keeps answers small enough that a small window is not used up by what the client holds back", () => {
    const small = plan("small")!;
    expect(small.maxOutput).toBe(5_120);
    // What is left for the conversation: window - answer - 13,000 must exceed the first request's 14,400.
    expect(small.contextWindow! - small.maxOutput - 13_000).toBeGreaterThan(14_400);
  });

  it("says nothing of a window that the engine does not tell, and heeds its output limit", () => {
    const odd = plan("odd")!;
    expect(odd.contextWindow).toBeUndefined();
    expect(odd.maxOutput).toBe(4_096);
  });
});
