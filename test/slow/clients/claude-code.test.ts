/** The real Claude Code, started by `evener claude`, works through the built gateway; and nothing but the gateway hears of it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Rule } from "../../../src/simulator/script.ts";
import { type Simulator, startSimulator } from "../../../src/simulator/start.ts";
import { CLAUDE_VERSIONS, installClaude, PRINT_EVENTS, runClaude } from "../../support/claude.ts";
import { cleanEnvironment, EVENER, type RunningEvener, startEvener } from "../../support/evener.ts";
import { startRecordingProxy } from "../../support/recording-proxy.ts";
import { type Finished, runProcess } from "../../support/run-process.ts";
import { canTrace, outsideAddresses, tracedCalls, tracer } from "../../support/traced-connections.ts";
import { sum, usageRows } from "../../support/usage.ts";

const WINDOW = 150_000;

let simulator: Simulator;
let evener: RunningEvener;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "evener-claude-work-"));
  simulator = await startSimulator({ maxModelLen: WINDOW, reasoning: true });
  evener = await startEvener({ engines: [simulator.url] });
});

afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A session that a coding agent could have had: runs a command, writes a file with what it said, reads it, reports. */
function workOn(file: string): Rule[] {
  const main = { tools: "Bash" } as const;
  return [
    {
      when: { ...main, toolResults: 0 },
      answer: {
        reasoning: "First see what the sum is.",
        text: "I will compute it.",
        calls: [{ name: "Bash", arguments: { command: "echo sum=$((40+2))", description: "Compute the sum" } }],
      },
    },
    {
      when: { ...main, toolResults: 1 },
      answer: { calls: [{ name: "Write", arguments: { file_path: file, content: 'sum=42 "quoted" äöü 漢字\n' } }] },
    },
    { when: { ...main, toolResults: 2 }, answer: { calls: [{ name: "Read", arguments: { file_path: file } }] } },
    { when: { ...main, toolResults: 3 }, answer: { text: "The file says sum=42." } },
  ];
}

/** What the trace of system calls says; where processes cannot be traced, the proxy alone is the witness. */
function heard(trace: string): { traced: boolean; outside: string[] } {
  if (!canTrace()) return { traced: true, outside: [] };
  // A trace of nothing would prove nothing.
  return { traced: tracedCalls(trace) > 0, outside: outsideAddresses(trace) };
}

describe.each(CLAUDE_VERSIONS)("Claude Code %s", (version) => {
  let binary: string;

  beforeAll(async () => {
    binary = await installClaude(version);
  }, 300_000);

  it("runs a command, writes a file, reads it and finishes; every token is in the usage rows; nobody else is called", async () => {
    const work = mkdtempSync(join(folder, "work-"));
    const file = join(work, "proof.txt");
    const trace = join(folder, `trace-${version}`);
    const proxy = await startRecordingProxy();
    simulator.setScript(workOn(file));
    const before = {
      ...simulator.totals,
      requests: simulator.counters.received,
      rows: (await usageRows(evener)).length,
    };
    try {
      const run = await runClaude(evener, {
        binary,
        args: ["-p", "Compute 40+2 and write it to proof.txt", ...PRINT_EVENTS],
        cwd: work,
        env: { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url },
        under: canTrace() ? tracer(trace) : [],
      });
      expect(run.stderr).not.toMatch(/error/i);
      expect(run).toMatchObject({ code: 0, result: { subtype: "success", is_error: false, num_turns: 4 } });
      expect(run.result?.["result"]).toBe("The file says sum=42.");
      expect(readFileSync(file, "utf8")).toBe('sum=42 "quoted" äöü 漢字\n');

      // The tool results that went back: what the command printed, and the file as it was read.
      const [, second, , last] = simulator.requests.filter((request) => request.body !== undefined).slice(-4);
      expect(JSON.stringify(second?.body?.["messages"])).toContain("sum=42");
      expect(JSON.stringify(last?.body?.["messages"])).toContain("漢字");

      expect(proxy.asked).toEqual([]);
      expect(heard(trace)).toEqual({ traced: true, outside: [] });

      const rows = (await usageRows(evener)).slice(before.rows);
      const session = run.events.find((event) => event.subtype === "init")?.["session_id"];
      expect(rows).toHaveLength(simulator.counters.received - before.requests);
      expect(rows.length).toBeGreaterThanOrEqual(4);
      for (const row of rows) {
        expect(row).toMatchObject({
          tenant: "local",
          model: simulator.model,
          session,
          counted_by: "engine",
          outcome: "ok",
        });
      }
      expect(sum(rows, "input_uncached", "cache_read", "cache_write")).toBe(
        simulator.totals.promptTokens - before.promptTokens,
      );
      expect(sum(rows, "cache_read")).toBe(simulator.totals.cachedTokens - before.cachedTokens);
      expect(sum(rows, "output")).toBe(simulator.totals.generatedTokens - before.generatedTokens);
      // The session's prompt only grew: all but the new part came from the engine's cache.
      for (const row of rows.slice(-3)) expect(row.cache_read).toBeGreaterThan(row.input_uncached);
    } finally {
      await proxy.close();
    }
  });

  it("sends subagents through the gateway too, and their rows say so", async () => {
    const task = "COUNT-THE-FILES";
    simulator.setScript([
      {
        when: { userText: task, toolResults: 0 },
        answer: { calls: [{ name: "Bash", arguments: { command: "ls | wc -l", description: "Count" } }] },
      },
      { when: { userText: task }, answer: { text: "There are none." } },
      {
        when: { tools: "Agent", toolResults: 0 },
        answer: {
          calls: [
            {
              name: "Agent",
              arguments: {
                description: "Count files",
                prompt: task,
                subagent_type: "general-purpose",
                run_in_background: false,
              },
            },
          ],
        },
      },
      { when: { tools: "Agent", toolResults: 1 }, answer: { text: "None, it says." } },
    ]);
    const before = (await usageRows(evener)).length;
    const run = await runClaude(evener, { binary, args: ["-p", "Delegate the counting", ...PRINT_EVENTS] });
    expect(run).toMatchObject({ code: 0, result: { is_error: false, result: "None, it says." } });
    const rows = (await usageRows(evener)).slice(before);
    const session = run.events.find((event) => event.subtype === "init")?.["session_id"];
    expect(rows.map((row) => row.session)).toEqual([session, session, session, session]);
    const [first, second, third, fourth] = rows.map((row) => row.agent);
    expect([first, fourth]).toEqual([null, null]);
    expect(second).toMatch(/./);
    expect(third).toBe(second);
  });

  it("loads a tool on demand, fetches a page with it from its host, and asks nobody else about that", async () => {
    const proxy = await startRecordingProxy();
    simulator.setScript([
      {
        when: { tools: "ToolSearch", toolResults: 0 },
        answer: { calls: [{ name: "ToolSearch", arguments: { query: "select:WebFetch", max_results: 1 } }] },
      },
      {
        when: { tools: "ToolSearch", toolResults: 1 },
        answer: {
          calls: [{ name: "WebFetch", arguments: { url: "https://docs.example.com/page", prompt: "Title?" } }],
        },
      },
      { when: { tools: "ToolSearch" }, answer: { text: "It cannot be reached." } },
    ]);
    try {
      const env = { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url };
      const run = await runClaude(evener, { binary, args: ["-p", "Read the page", ...PRINT_EVENTS], env });
      expect(run).toMatchObject({ code: 0, result: { is_error: false, result: "It cannot be reached." } });
      // The definition came with the search's result, behind all that had been sent: not at the prompt's head.
      const prompts = simulator.requests.flatMap((request) => request.prompt ?? []).slice(-3);
      const defined = prompts.map((prompt) => /"name": ?"WebFetch", ?"description"/.test(prompt));
      expect(defined).toEqual([false, true, true]);
      expect([...new Set(proxy.asked)]).toEqual(["docs.example.com:443"]);
    } finally {
      await proxy.close();
    }
  });

  it("has the model not think where its user has switched that off, though it says nothing of it", async () => {
    simulator.setScript([{ answer: { text: "no thought" } }]);
    const wishes: unknown[] = [];
    for (const env of [{}, { MAX_THINKING_TOKENS: "0" }, { CLAUDE_CODE_DISABLE_THINKING: "1" }]) {
      const run = await runClaude(evener, { binary, args: ["-p", "hi"], env });
      expect(run).toMatchObject({ code: 0, stdout: "no thought\n" });
      wishes.push(
        simulator.requests.findLast(({ body }) => body?.["tools"] !== undefined)?.body?.["chat_template_kwargs"],
      );
    }
    expect(wishes).toEqual([{ enable_thinking: true }, { enable_thinking: false }, { enable_thinking: false }]);
  });

  it("believes the engine's window, and asks for no longer answers than fit", async () => {
    simulator.setScript(undefined);
    const run = await runClaude(evener, { binary, args: ["-p", "/context"] });
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/\*\*Tokens:\*\* [\d.]+k \/ 150k/);
    expect(run.stdout).toContain(`**Model:** ${simulator.model}`);
    expect(run.stderr).not.toContain("CLAUDE_CODE_");

    const said = await runClaude(evener, { binary, args: ["-p", "hello"] });
    expect(said).toMatchObject({ code: 0 });
    expect(simulator.requests.at(-1)?.body?.["max_tokens"]).toBe(WINDOW / 8);
  });
});

it("runs parallel tool calls and gets both results", async () => {
  const binary = await installClaude(CLAUDE_VERSIONS[0]);
  const work = mkdtempSync(join(folder, "parallel-"));
  const touch = (name: string) => ({ name: "Bash", arguments: { command: `touch ${name}`, description: name } });
  simulator.setScript([
    { when: { tools: "Bash", toolResults: 0 }, answer: { calls: [touch("one"), touch("two")] } },
    { when: { tools: "Bash", toolResults: 2 }, answer: { text: "both" } },
  ]);
  const run = await runClaude(evener, { binary, args: ["-p", "touch two files", ...PRINT_EVENTS], cwd: work });
  expect(run).toMatchObject({ code: 0, result: { is_error: false, result: "both" } });
  expect(["one", "two"].map((name) => existsSync(join(work, name)))).toEqual([true, true]);
});

it("wins over another gateway in the user's settings, and leaves that file alone", async () => {
  const binary = await installClaude(CLAUDE_VERSIONS[0]);
  const proxy = await startRecordingProxy();
  const config = mkdtempSync(join(folder, "config-"));
  const settings = join(config, "settings.json");
  const theirs = JSON.stringify({
    apiKeyHelper: "echo helper-key",
    env: { ANTHROPIC_BASE_URL: proxy.url, ANTHROPIC_API_KEY: "other-key", CLAUDE_CODE_USE_BEDROCK: "1" },
  });
  writeFileSync(settings, theirs);
  simulator.setScript([{ answer: { text: "through evener" } }]);
  try {
    const run = await runClaude(evener, { binary, args: ["-p", "hi"], env: { CLAUDE_CONFIG_DIR: config } });
    expect(run).toMatchObject({ code: 0, stdout: "through evener\n", stderr: expect.stringMatching(/^evener: /) });
    expect(run.stderr).toContain(
      `evener: ${settings} sets ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY, CLAUDE_CODE_USE_BEDROCK, apiKeyHelper`,
    );
    expect(proxy.asked).toEqual([]);
    expect(readFileSync(settings, "utf8")).toBe(theirs);
  } finally {
    await proxy.close();
  }
});

describe("without the launcher", () => {
  /** The client alone, in a shell that has nothing of Evener but what `prepare` brings. */
  async function alone(prepare: string): Promise<Finished> {
    const binary = await installClaude(CLAUDE_VERSIONS[0]);
    const home = mkdtempSync(join(folder, "alone-"));
    const launcher = `'${process.execPath}' '${EVENER}' claude`;
    const script = `${prepare.replaceAll("LAUNCHER", launcher)}; unset EVENER_URL EVENER_KEY; exec '${binary}' -p hi`;
    const env = { ...cleanEnvironment(home), IS_SANDBOX: "1", EVENER_URL: evener.url, EVENER_KEY: evener.key };
    simulator.setScript([{ answer: { text: "through evener" } }]);
    return runProcess("/bin/sh", ["-ec", script], { env, cwd: home });
  }

  it("works in a shell that has evaluated --print-env", async () => {
    expect(await alone('eval "$(LAUNCHER --print-env)"')).toMatchObject({ code: 0, stdout: "through evener\n" });
  });

  it("works with the settings file that --settings has written", async () => {
    expect(await alone("LAUNCHER --settings > /dev/null")).toMatchObject({ code: 0, stdout: "through evener\n" });
  });
});
