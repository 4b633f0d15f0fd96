/** `evener doctor` on a real vLLM with random weights: with a parser all is well, and without one the missing flag is named. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cleanEnvironment, runEvener } from "../support/evener.ts";
import { type Vllm, type VllmOptions, startVllm } from "./support/vllm.ts";

type Document = {
  checks: { id: string; result: string; found: string; what_to_do: string | null }[];
  tool_calls: { tool_choice: string; outcome: string; found: string }[];
};

describe("evener doctor on a real vLLM", () => {
  let home: string;
  let vllm: Vllm | undefined;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "evener-doctor-"));
  });
  afterEach(async () => {
    await vllm?.stop();
    vllm = undefined;
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  async function examine(options: Omit<VllmOptions, "model">): Promise<{ code: number | null; document: Document }> {
    vllm = await startVllm({ model: "tinyqwen3", ...options });
    const run = { cwd: home, env: cleanEnvironment(home), timeoutMs: 600_000 };
    const { code, stdout, stderr } = await runEvener(["doctor", "--engine", vllm.url, "--json"], run);
    expect(stderr).toBe("");
    // Nothing of it goes on in the engine.
    await vllm.idle();
    return { code, document: JSON.parse(stdout) as Document };
  }
  const resultsOf = ({ checks }: Document) => Object.fromEntries(checks.map(({ id, result }) => [id, result]));

  it("with a parser: each forced call comes, whole and streamed, whether it thinks or not", async () => {
    const { code, document } = await examine({});
    expect(resultsOf(document)).toEqual({
      engine: "ok",
      models: "ok",
      window: "ok",
      tools_in_prompt: "ok",
      late_system: "ok",
      reasoning_parser: "ok",
      tool_parser: "ok",
      tool_parser_fits: "ok",
      strict_tools: "ok",
      text_under_none: "ok",
      // Random weights call nothing by themselves.
      tool_choice_auto: "unknown",
      tool_choice_required: "ok",
      tool_choice_named: "ok",
      prefix_caching: "ok",
      cached_tokens: "ok",
      kv_capacity: "ok",
      running_usage: "ok",
    });
    expect(code).toBe(0);
    const forced = document.tool_calls.filter(({ tool_choice }) => tool_choice !== "auto");
    expect(forced.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 12 }, () => "call"));
  });

  it("without a parser: the flag that is missing", async () => {
    const { code, document } = await examine({ withoutToolParser: true });
    expect(code).toBe(1);
    expect(resultsOf(document)).toMatchObject({
      tools_in_prompt: "ok",
      tool_parser: "bad",
      tool_choice_auto: "bad",
      tool_choice_required: "bad",
      tool_choice_named: "bad",
      prefix_caching: "ok",
    });
    const parser = document.checks.find(({ id }) => id === "tool_parser")!;
    expect(parser.what_to_do).toMatch(/--enable-auto-tool-choice --tool-call-parser hermes/);
    for (const { outcome, found } of document.tool_calls) {
      expect(outcome).toBe("refused");
      expect(found).toContain("--tool-call-parser");
    }
  });
});
