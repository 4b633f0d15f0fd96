/** `evener doctor` on a real vLLM with random weights: with a parser all is well, and without one the missing flag is named. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type DoctorReport, GOOD_RESULTS, resultsOf } from "../support/doctor-report.ts";
import { cleanEnvironment, runEvener } from "../support/evener.ts";
import { type Vllm, type VllmOptions, startVllm } from "./support/vllm.ts";

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

  async function examine(
    options: Omit<VllmOptions, "model">,
  ): Promise<{ code: number | null; document: DoctorReport }> {
    vllm = await startVllm({ model: "tinyqwen3", ...options });
    const run = { cwd: home, env: cleanEnvironment(home), timeoutMs: 600_000 };
    const { code, stdout, stderr } = await runEvener(["doctor", "--engine", vllm.url, "--json"], run);
    expect(stderr).toBe("");
    // Nothing of it goes on in the engine.
    await vllm.idle();
    return { code, document: JSON.parse(stdout) as DoctorReport };
  }

  it("with a parser: each forced call comes, whole and streamed, whether it thinks or not", async () => {
    const { code, document } = await examine({});
    expect(resultsOf(document)).toEqual(GOOD_RESULTS);
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
