/**
 * The real OpenCode, Qwen Code, Codex and aider do a piece of work through the built gateway: the file or commit is there, and the
 * usage rows hold, to the token, what the engine served. (Claude Code's loops: claude-code.test.ts.)
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { agentSession } from "../../../src/simulator/scripts/agent-session.ts";
import { git, gitRepository, runAider } from "../../support/client-aider.ts";
import { runCodex, searchingModel } from "../../support/client-codex.ts";
import { installAider, installCodex, installOpenCode, installQwenCode } from "../../support/client-install.ts";
import { type OpenCodeWire, runOpenCode } from "../../support/client-opencode.ts";
import { runQwen } from "../../support/client-qwen.ts";
import { story } from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";

const CONTENT = 'sum=42 "quoted" äöü 漢字\n';

let stand: ClientStand;

beforeAll(async () => {
  stand = await startClientStand({ simulator: { reasoning: true } });
});

afterAll(() => stand?.stop());

/** Plays a session that runs a command, writes proof.txt, reads it and reports; gives its report. */
function playSession(directory: string, printed: string): string {
  const command = "echo sum=$((40+2))";
  stand.simulator.setScript(
    agentSession({ directory, file: "proof.txt", content: CONTENT, command, reasoning: "Think first." }),
  );
  return `Done. The command printed "${printed}", and ${directory}/proof.txt says "${CONTENT.trim()}".`;
}

/** Every request that the engine served has one row, all rows are good, and they add up to the engine's own counts. */
async function expectRowsOfServed(mark: Mark, wire: string, atLeast: number): Promise<void> {
  const rows = await mark.rows();
  expect(rows.length).toBe(mark.bodies().length);
  expect(rows.length).toBeGreaterThanOrEqual(atLeast);
  for (const row of rows) {
    expect(row).toMatchObject({ wire, model: stand.simulator.model, outcome: "ok", error_code: null, repeat_of: null });
  }
  const add = (pick: (row: (typeof rows)[number]) => number): number => rows.reduce((sum, row) => sum + pick(row), 0);
  expect({
    prompt: add((row) => row.input_uncached + row.cache_read),
    cached: add((row) => row.cache_read),
    generated: add((row) => row.output),
  }).toEqual(mark.served());
}

it.each<OpenCodeWire>(["openai-chat", "anthropic-messages"])("OpenCode by %s", async (wire) => {
  const binary = await installOpenCode();
  const work = stand.folder();
  const last = playSession(work, "sum=42");
  const mark = await stand.mark();
  const run = await runOpenCode(stand.evener, {
    binary,
    wire,
    model: stand.simulator.model,
    prompt: "Compute 40+2 and write it to proof.txt",
    cwd: work,
    timeoutMs: 180_000,
  });
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(CONTENT);
  expect(run.events.filter(({ type }) => type === "tool_use")).toHaveLength(3);
  expect(run.events.findLast(({ type }) => type === "text")).toMatchObject({ part: { text: last } });
  await expectRowsOfServed(mark, wire, 4);
  // One session, whose prompt only grows: the engine's cache has nearly all of it from the second turn on.
  const rows = await mark.rows();
  expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
  expect(rows[0]!.session).toMatch(/^ses_/);
  for (const row of rows.slice(-3)) expect(row.cache_read).toBeGreaterThan(20 * row.input_uncached);
});

it("Qwen Code", async () => {
  const client = await installQwenCode();
  const work = stand.folder();
  // The first line of what its tool says.
  const last = playSession(work, "Command: echo sum=$((40+2))");
  const mark = await stand.mark();
  const run = await runQwen(stand.evener, {
    client,
    model: stand.simulator.model,
    prompt: "Compute 40+2 and write it to proof.txt",
    cwd: work,
    timeoutMs: 180_000,
  });
  expect(run).toMatchObject({ code: 0, result: { subtype: "success", is_error: false, result: last } });
  expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(CONTENT);
  expect(JSON.stringify(mark.bodies()[1])).toContain("sum=42");
  await expectRowsOfServed(mark, "openai-chat", 4);
  for (const row of (await mark.rows()).slice(-3)) expect(row.cache_read).toBeGreaterThan(20 * row.input_uncached);
});

it("Codex, and goes on with the session in another process", async () => {
  const binary = await installCodex();
  const work = stand.folder();
  const home = stand.folder();
  const options = { binary, model: stand.simulator.model, home, cwd: work, timeoutMs: 180_000 };
  playSession(work, "");
  const mark = await stand.mark();
  const run = await runCodex(stand.evener, { ...options, prompt: "Compute 40+2 and write it to proof.txt" });
  expect(run).toMatchObject({ code: 0 });
  expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(CONTENT);
  expect(run.items.filter(({ type }) => type === "command_execution")).toMatchObject([
    { exit_code: 0, aggregated_output: "sum=42\n" },
    { exit_code: 0, aggregated_output: "" },
    { exit_code: 0, aggregated_output: CONTENT },
  ]);
  // Its tool says more than what the command printed, an id first.
  expect(run.items.at(-1)).toMatchObject({
    type: "agent_message",
    text: expect.stringMatching(/^Done\. The command printed "Chunk ID: /),
  });
  const rows = await mark.rows();
  expect(story(rows)).toEqual(["ok", "ok", "ok", "ok"]);
  for (const row of rows) expect(row.session).toBe(run.thread);

  stand.simulator.setScript(() => ({ reasoning: "Think again.", text: "It is 42." }));
  const again = await runCodex(stand.evener, { ...options, prompt: "What is it?", resume: run.thread! });
  expect(again).toMatchObject({ code: 0, thread: run.thread });
  expect(again.items.at(-1)).toMatchObject({ type: "agent_message", text: "It is 42." });
  // Every turn comes back with its reasoning, of which Codex keeps only `encrypted_content`.
  const messages = mark.bodies().at(-1)!["messages"] as { role: string; content: string; reasoning?: string }[];
  expect(messages.filter(({ role }) => role === "assistant")).toMatchObject([
    { content: "I run a command first.", reasoning: "Think first." },
    { content: "Now I write the file.", reasoning: "Think first." },
    { content: "I read it back.", reasoning: "Think first." },
    { content: expect.stringMatching(/^Done\. /), reasoning: "Think first." },
  ]);
  expect(messages.at(-1)).toMatchObject({ role: "user", content: "What is it?" });
  await expectRowsOfServed(mark, "openai-responses", 5);
  const all = await mark.rows();
  expect(all.at(-1)!.session).toBe(run.thread);
  // Byte for byte the prompt of before, or the engine's cache would not have it.
  for (const row of all.slice(1)) expect(row.cache_read).toBeGreaterThan(20 * row.input_uncached);
});

it("Codex, which finds a tool of an MCP server by its own search and calls it", async () => {
  const binary = await installCodex();
  const { model } = stand.simulator;
  const work = stand.folder();
  const catalog = join(work, "models.json");
  writeFileSync(catalog, JSON.stringify({ models: [searchingModel(model)] }));
  const server = fileURLToPath(new URL("../../support/mcp-weather.ts", import.meta.url));
  stand.simulator.setScript(({ toolResults }) => {
    if (toolResults === 0) return { calls: [{ name: "tool_search", arguments: { query: "weather forecast" } }] };
    return toolResults === 1 ? { calls: [{ name: "forecast", arguments: { place: "Köln" } }] } : { text: "It rains." };
  });
  const mark = await stand.mark();
  const run = await runCodex(stand.evener, {
    binary,
    model,
    home: stand.folder(),
    cwd: work,
    timeoutMs: 180_000,
    prompt: "What will the weather be in Köln?",
    config: [
      `model_catalog_json="${catalog}"`,
      `mcp_servers.weather={command="${process.execPath}",args=["${server}"]}`,
    ],
  });
  expect(run).toMatchObject({ code: 0 });
  expect(run.items).toMatchObject([
    { type: "mcp_tool_call", server: "weather", tool: "forecast", arguments: { place: "Köln" }, status: "completed" },
    { type: "agent_message", text: "It rains." },
  ]);
  // What was found is defined in the search's result, and the tools at the head stay as they were.
  const [first, second, third] = mark.bodies();
  expect(JSON.stringify(first)).not.toContain("forecast of a place");
  expect(JSON.stringify((second!["messages"] as unknown[]).at(-1))).toContain("forecast of a place");
  expect([second!["tools"], third!["tools"]]).toEqual([first!["tools"], first!["tools"]]);
  await expectRowsOfServed(mark, "openai-responses", 3);
  for (const row of (await mark.rows()).slice(1)) expect(row.cache_read).toBeGreaterThan(4 * row.input_uncached);
});

it("aider", async () => {
  const python = await installAider();
  const work = stand.folder();
  gitRepository(work, { "greet.py": 'print("hello")\n' });
  stand.simulator.setScript(({ messages }) =>
    JSON.stringify(messages[0]).includes("commit message")
      ? { text: "feat: greet the whole world" }
      : { text: 'I greet the world.\n\ngreet.py\n```\nprint("hello, wörld")\n```\n' },
  );
  const mark = await stand.mark();
  const run = await runAider(stand.evener, {
    python,
    model: stand.simulator.model,
    message: "Greet the world",
    files: ["greet.py"],
    cwd: work,
    timeoutMs: 180_000,
  });
  expect(run).toMatchObject({ code: 0 });
  expect(run.stdout).toContain("Applied edit to greet.py");
  expect(run.stdout).not.toMatch(/error|githubusercontent/i);
  expect(readFileSync(join(work, "greet.py"), "utf8")).toBe('print("hello, wörld")\n');
  expect(git(work, "log", "--format=%s")).toBe("feat: greet the whole world\nBegin");
  expect(git(work, "status", "--porcelain", "--untracked-files=no")).toBe("");
  await expectRowsOfServed(mark, "openai-chat", 2);
  expect((await mark.rows()).map(({ streamed }) => streamed)).toEqual([true, false]);
});
