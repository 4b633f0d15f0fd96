import { describe, expect, test } from "vitest";
import { replicaOf } from "./__fixtures__/replica.ts";
import type { EngineInfo, EngineState } from "./engine-pool.ts";
import { ModelRegistry, type RegistryOptions } from "./model-registry.ts";

const state = (name: string, models: EngineInfo["models"]): EngineState<EngineInfo> =>
  replicaOf(name, { info: { kind: "vllm", models } });

function registry(options: Partial<RegistryOptions>, ...states: EngineState<EngineInfo>[]) {
  const made = new ModelRegistry<EngineInfo>({ families: {}, aliases: {}, models: {}, ...options });
  made.update(states);
  return made;
}

describe("ModelRegistry", () => {
  test("maps every Claude name to the only model", () => {
    const models = registry({}, state("a", [{ id: "MiniMax-M2.7", contextWindow: 196_608 }]));
    for (const name of [
      "claude-opus-4-8",
      "claude-haiku-4-5-20251001",
      "claude-3-5-sonnet-latest",
      "claude-zephyr-9",
      "opus",
      "opus[1m]",
      "Default[1m]",
      "MiniMax-M2.7",
      "MiniMax-M2.7[1m]",
      "claude-minimax-m2.7",
    ]) {
      expect(models.resolve(name)?.id, name).toBe("MiniMax-M2.7");
    }
  });

  test("knows when another model stands in for the one that a family was mapped to", () => {
    const models = registry(
      { families: { haiku: "small", default: "big" }, aliases: { fast: "gone" } },
      state("a", [{ id: "small" }, { id: "claude-opus-own" }]),
    );
    const standIns = ["claude-opus-4-8", "opus[1m]", "default", "claude-zephyr-9"];
    for (const name of standIns) expect([name, models.isStandIn(name)]).toEqual([name, true]);
    const others = ["haiku", "claude-haiku-4-5", "small", "claude-small", "claude-opus-own", "fast", "nobody"];
    for (const name of others) expect([name, models.isStandIn(name)]).toEqual([name, false]);
  });

  test("does not answer for names nobody knows", () => {
    const models = registry({}, state("a", [{ id: "m" }]));
    for (const name of ["gpt-5", "", "claudette", "M"]) expect(models.resolve(name), name).toBeUndefined();
  });

  test("maps families as configured, the rest to the default", () => {
    const families = { haiku: "small", default: "big" };
    const models = registry({ families, aliases: { "gpt-5": "big" } }, state("a", [{ id: "small" }, { id: "big" }]));
    expect(models.resolve("claude-haiku-4-5")?.id).toBe("small");
    expect(models.resolve("claude-opus-5")?.id).toBe("big");
    expect(models.resolve("gpt-5")?.id).toBe("big");
  });

  test("gathers replicas, with the smallest of their windows", () => {
    const a = state("a", [{ id: "m", contextWindow: 100 }]);
    const b = state("b", [{ id: "m", contextWindow: 50 }]);
    const model = registry({}, a, b).resolve("m");
    expect(model?.replicas).toEqual([a, b]);
    expect(model?.contextWindow).toBe(50);
  });
});
