/** The whole examination over what real servers answered, good and broken. */
import { describe, expect, it } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import type { AskEngine } from "./ask-engine.ts";
import { examine } from "./examine.ts";
import type { Finding } from "./finding.ts";
import type { Subject } from "./subject.ts";
import type { Cell } from "./tool-matrix.ts";
import { SUBJECT } from "./__fixtures__/replies.ts";
import { recordedEngine } from "./__fixtures__/recorded.ts";

async function look(name: string) {
  const { info, ask } = recordedEngine(name);
  const [model] = info.models;
  const subject: Subject = { model: model!.id, kind: info.kind, names: [model!.id], window: model!.contextWindow };
  const told: (readonly Finding[])[] = [];
  const rows: (readonly Cell[])[] = [];
  const { findings, cells } = await examine(ask, info, subject, {
    onFindings: (some) => told.push(some),
    onMatrix: () => expect(rows).toEqual([]),
    onCells: (some) => rows.push(some),
  });
  expect(told.flat()).toEqual(findings);
  expect(rows).toHaveLength(3);
  expect(rows.flat()).toEqual(cells);
  const worse = findings.filter(({ result }) => result === "bad" || result === "warning");
  const byId = Object.fromEntries(findings.map((finding) => [finding.id, finding]));
  return { findings, worse: worse.map(({ id, result }) => `${result}: ${id}`), byId, cells };
}

/** Outcomes of the forced cells, whole and streamed alike: by thinking as it comes, off, on. */
function forced(cells: readonly Cell[]): string[] {
  return ["default", "off", "on"].map((thinking) => {
    const outcomes = cells
      .filter((cell) => cell.choice !== "auto" && cell.thinking === thinking)
      .map(({ outcome }) => outcome);
    expect(outcomes).toHaveLength(4);
    return [...new Set(outcomes)].join(", ");
  });
}

describe("a real vLLM", () => {
  it("with the right parser has nothing but a small window", async () => {
    const { worse, byId, cells } = await look("good");
    expect(worse).toEqual(["bad: window"]);
    expect(byId["tool_parser_fits"]).toMatchObject({ result: "ok", found: expect.stringMatching(/^Hermes calls/) });
    expect(forced(cells)).toEqual(["call", "call", "call"]);
  });

  it("with a reasoning parser for a model that does not think loses forced calls, but for thinking off", async () => {
    const { worse, byId, cells } = await look("wrong-reasoning-parser");
    expect(worse).toEqual([
      "bad: window",
      "bad: reasoning_parser",
      "bad: tool_choice_required",
      "bad: tool_choice_named",
    ]);
    expect(forced(cells)).toEqual(["reasoning only", "call", "reasoning only"]);
    for (const id of ["reasoning_parser", "tool_choice_required", "tool_choice_named"])
      expect(byId[id]!.advice).toContain("leave out --reasoning-parser");
    expect(byId["late_system"]).toMatchObject({ result: "ok", advice: expect.stringContaining("fold") });
  });

  it("without a tool-call parser, prefix caching and token details is told each flag", async () => {
    const { worse, findings, cells } = await look("no-parser");
    expect(worse).toEqual([
      "bad: window",
      "bad: tool_parser",
      "bad: tool_choice_auto",
      "bad: tool_choice_required",
      "bad: tool_choice_named",
      "bad: prefix_caching",
      "warning: cached_tokens",
    ]);
    expect(forced(cells)).toEqual(["refused", "refused", "refused"]);
    const advice = findings.map((finding) => finding.advice ?? "").join("\n");
    for (const flag of ["--tool-call-parser hermes", "--enable-prefix-caching", "--enable-prompt-tokens-details"])
      expect(advice).toContain(flag);
  });

  it("with another family's parser has calls deleted, and text that looks like them", async () => {
    const { worse, byId } = await look("wrong-tool-parser");
    expect(worse).toEqual(expect.arrayContaining(["bad: tool_parser_fits", "warning: text_under_none"]));
    expect(byId["tool_parser_fits"]).toMatchObject({
      found: expect.stringMatching(/is deleted by the parser; it reads Qwen3-Coder calls$/),
      advice: expect.stringContaining("--tool-call-parser hermes"),
    });
  });
});

describe("an engine that gives no answer", () => {
  const info = { kind: "vllm" as const, models: [{ id: "m" }], canTokenize: true };
  const listener = { onFindings() {}, onMatrix() {}, onCells() {} };

  it("is bad in everything that was asked", async () => {
    const ask: AskEngine = () =>
      Promise.reject(new GatewayError("engine_unreachable", "the engine refused the connection"));
    const { findings, cells } = await examine(ask, info, SUBJECT, listener);
    expect(cells.every(({ outcome }) => outcome === "no answer")).toBe(true);
    const asked = findings.filter(({ id }) => !["engine", "models", "window"].includes(id));
    for (const finding of asked)
      expect(finding).toMatchObject({ result: "bad", found: expect.stringContaining("refused the connection") });
  });

  it("is not blamed for our own mistakes", async () => {
    const ask: AskEngine = () => Promise.reject(new TypeError("ours"));
    await expect(examine(ask, info, SUBJECT, listener)).rejects.toThrow("ours");
  });
});
