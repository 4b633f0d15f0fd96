/** `evener doctor` against simulated engines, good and broken: what it says, its JSON, and its exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SimulatorOptions } from "../../src/simulator/options.ts";
import type { Script } from "../../src/simulator/script.ts";
import { type DoctorReport, GOOD_RESULTS, resultsOf } from "../support/doctor-report.ts";
import { cleanEnvironment, runEvener } from "../support/evener.ts";
import { simulate } from "../support/simulator.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "evener-doctor-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const doctor = (args: string[], env: Record<string, string> = {}) =>
  runEvener(["doctor", ...args], { cwd: folder, env: { ...cleanEnvironment(folder), ...env } });

async function examined(
  options: SimulatorOptions,
): Promise<{ code: number | null; document: DoctorReport; bad: string[] }> {
  const { url } = await simulate(options);
  const { code, stdout, stderr } = await doctor(["--engine", url, "--json"]);
  expect(stderr).toBe("");
  const document = JSON.parse(stdout) as DoctorReport;
  const bad = document.checks.filter(({ result }) => result === "bad").map(({ id }) => id);
  return { code, document, bad };
}

describe("a good engine", () => {
  it("is told for people, group by group, and is no failure", async () => {
    const { url } = await simulate({ model: "m" });
    const { code, stdout, stderr } = await doctor(["--engine", url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^m at http:\S+: asks the engine about 40 short questions/);
    for (const said of [
      /^CHECK +RESULT +FOUND +WHAT TO DO$/m,
      /^context window +ok +131,072 tokens$/m,
      /^the parser reads what this model writes +ok +Hermes calls/m,
      /^named, streamed +call +call +call$/m,
      /^prefix caching +ok +1,\d{3} of 1,\d{3} tokens/m,
      /^Nothing is bad, 1 warning, 1 could not be told\. \d\d questions were asked\.$/m,
    ])
      expect(stdout).toMatch(said);
  });

  it("is told for programs in one document", async () => {
    const { code, document, bad } = await examined({ model: "m" });
    expect([code, bad]).toEqual([0, []]);
    expect(document).toMatchObject({ engine: { kind: "vllm", version: "0.32.0" }, model: "m", result: "warning" });
    expect(document.requests).toBeLessThanOrEqual(45);
    // It makes no grammar of a schema.
    expect(resultsOf(document)).toEqual({ ...GOOD_RESULTS, strict_tools: "warning" });
    expect(document.tool_calls).toHaveLength(18);
  });

  it("is the one that the configuration names, with its key", async () => {
    const { url } = await simulate({ model: "m", apiKey: "engine-key" });
    expect(await doctor(["--engine", url])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^evener: no engine to look at: .*API key[^\n]*\n$/),
    });
    writeFileSync(join(folder, "keyed.yaml"), `engines:\n  - url: ${url}/v1\n    api_key: engine-key\n`);
    for (const more of [[], ["--engine", url]])
      expect(await doctor(["--config", "keyed.yaml", "--json", ...more])).toMatchObject({ code: 0 });
  });
});

describe("a broken engine", () => {
  it("without a parser: the flag that is missing", async () => {
    const { code, document, bad } = await examined({ tools: false });
    expect(code).toBe(1);
    expect(bad).toEqual(["tool_parser", "tool_choice_auto", "tool_choice_required", "tool_choice_named"]);
    expect(document.checks.find(({ id }) => id === "tool_parser")!.what_to_do).toContain(
      "--enable-auto-tool-choice --tool-call-parser hermes",
    );
    expect(document.tool_calls.every(({ outcome }) => outcome === "refused")).toBe(true);
  });

  it("without prefix caching, without token details, with a small window and a cache that is smaller still", async () => {
    const { code, document } = await examined({
      prefixCaching: false,
      promptTokensDetails: false,
      maxModelLen: 32_768,
      kvBlocks: 1_024,
    });
    expect(code).toBe(1);
    expect(resultsOf(document)).toMatchObject({
      window: "bad",
      prefix_caching: "bad",
      cached_tokens: "warning",
      kv_capacity: "warning",
    });
    const advice = document.checks.map(({ what_to_do }) => what_to_do).join("\n");
    for (const flag of ["--max-model-len", "--enable-prefix-caching", "--enable-prompt-tokens-details"])
      expect(advice).toContain(flag);
  });

  it("that drops forced calls while thinking is off", async () => {
    const script: Script = ({ body }) => {
      const how = body["chat_template_kwargs"] as { enable_thinking?: boolean } | undefined;
      const forced = body["tool_choice"] === "required" || typeof body["tool_choice"] === "object";
      return forced && how?.enable_thinking === false ? { text: "" } : undefined;
    };
    const { code, document, bad } = await examined({ script });
    expect(code).toBe(1);
    expect(bad).toEqual(["tool_choice_required", "tool_choice_named"]);
    for (const cell of document.tool_calls.filter(({ tool_choice }) => tool_choice !== "auto"))
      expect(cell.outcome).toBe(cell.thinking === "off" ? "lost" : "call");
    const { url } = await simulate({ script });
    const { stdout } = await doctor(["--engine", url]);
    expect(stdout).toMatch(/^required, whole +call +lost +call$/m);
  });

  it("whose reasoning parser takes all for reasoning, as a real vLLM does with a model that does not think", async () => {
    const { document, bad } = await examined({ reasoning: true, script: () => ({ reasoning: "Hi." }) });
    expect(bad).toEqual(expect.arrayContaining(["reasoning_parser", "tool_choice_required", "tool_choice_named"]));
    const said = document.checks.find(({ id }) => id === "reasoning_parser")!;
    expect(said.what_to_do).toContain("--reasoning-parser");
  });

  it("whose model writes calls that its parser does not read", async () => {
    const text = "<function=report_city>\n<parameter=city>\nParis\n</parameter>\n</function>";
    const script: Script = ({ body }) =>
      body["tool_choice"] === "auto" && !body["structured_outputs"] ? { text } : undefined;
    const { document, bad } = await examined({ script });
    expect(bad).toEqual(["tool_choice_auto"]);
    expect(document.tool_calls.filter(({ outcome }) => outcome === "as text")).toHaveLength(6);
  });

  it("that reports no usage", async () => {
    const { bad, document } = await examined({ script: () => ({ text: "1 2 3", usage: "missing" }) });
    expect(bad).toContain("running_usage");
    const finalOnly = await examined({ script: () => ({ text: "1 2 3", usage: "final-only" }) });
    expect(resultsOf(finalOnly.document)["running_usage"]).toBe("warning");
    expect(resultsOf(document)["running_usage"]).toBe("bad");
  });

  it("that fails in the middle of it is bad from then on", async () => {
    const script: Script = ({ body }) =>
      body["tool_choice"] === "required" ? { text: "", fault: { kind: "die", after: "start" } } : undefined;
    const { code, document } = await examined({ script });
    expect(code).toBe(1);
    expect(resultsOf(document)).toMatchObject({ tool_choice_required: "bad", running_usage: "bad" });
  });
});

describe("is refused in one line", () => {
  it.each([
    [
      "an engine that is not there",
      ["--engine", "http://127.0.0.1:1"],
      1,
      /no engine to look at: http:\/\/127\.0\.0\.1:1: the engine refused/,
    ],
    ["an engine that is no URL", ["--engine", "localhost"], 2, /"localhost" is not the URL of an engine/],
    ["a configuration that is not there", ["--config", "nothing.yaml"], 2, /nothing\.yaml/],
    ["an unknown option", ["--fix"], 2, /--fix/],
    ["what is not asked for", ["http://127.0.0.1:1"], 2, /too many arguments/],
  ])("%s", async (_, args, code, message) => {
    const result = await doctor(args);
    expect(result).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(/^evener: [^\n]+\n$/) });
    expect(result.stderr).toMatch(message);
  });

  it("a model that the engine does not serve", async () => {
    const { url } = await simulate({ model: ["a", "b"] });
    expect(await doctor(["--engine", url, "--model", "c"])).toMatchObject({
      code: 2,
      stderr: 'evener: the engine does not serve "c"; it serves: a, b\n',
    });
    const { code, stdout } = await doctor(["--engine", url, "--model", "b", "--json"]);
    expect([code, (JSON.parse(stdout) as DoctorReport).model]).toEqual([0, "b"]);
  });

  it("several engines of which none is named", async () => {
    expect(await doctor([], { EVENER_ENGINES: "http://127.0.0.1:1,http://127.0.0.1:2" })).toMatchObject({
      code: 2,
      stderr: "evener: there are several engines; name one with --engine: http://127.0.0.1:1, http://127.0.0.1:2\n",
    });
  });
});
