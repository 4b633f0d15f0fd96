import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { chat, simulate } from "../../../test/support/simulator.ts";
import type { JsonObject } from "../script.ts";
import { type AgentSession, agentSession } from "./agent-session.ts";

type Names = { run: string; write: string; read: string; path: string };

/** Tools as the harnesses declare them, by the parameters that matter. */
const HARNESSES: Record<string, Names> = {
  "Claude Code": { run: "Bash", write: "Write", read: "Read", path: "file_path" },
  OpenCode: { run: "bash", write: "write", read: "read", path: "filePath" },
  "Qwen Code": { run: "run_shell_command", write: "write_file", read: "read_file", path: "file_path" },
};

function tools(names: Names): JsonObject[] {
  const tool = (name: string, ...parameters: string[]): JsonObject => {
    const properties = Object.fromEntries(parameters.map((parameter) => [parameter, { type: "string" }]));
    return { type: "function", function: { name, parameters: { type: "object", properties, required: parameters } } };
  };
  return [
    tool("Task", "prompt"),
    tool(names.run, "command", "description"),
    tool(names.write, names.path, "content"),
    tool(names.read, names.path),
  ];
}

/** A harness in small: runs what is called until no call comes. Gives the calls and the last text. */
async function play(names: Names, session: AgentSession, system: string) {
  const simulator = await simulate({ script: agentSession(session) });
  const messages: JsonObject[] = [
    { role: "system", content: system },
    { role: "user", content: "Go." },
  ];
  const called: string[] = [];
  for (;;) {
    const { text } = await chat(simulator, { messages, tools: tools(names) }).answer;
    const { message, finish_reason: finish } = JSON.parse(text).choices[0];
    messages.push(message);
    if (finish !== "tool_calls") return { called, text: message.content as string };
    for (const call of message.tool_calls) {
      const given: Record<string, string> = JSON.parse(call.function.arguments);
      called.push(call.function.name);
      let output = "written";
      if (call.function.name === names.run)
        output = execFileSync("/bin/sh", ["-c", given["command"]!], { encoding: "utf8" });
      if (call.function.name === names.write) writeFileSync(given[names.path]!, given["content"]!);
      if (call.function.name === names.read) output = readFileSync(given[names.path]!, "utf8");
      messages.push({ role: "tool", tool_call_id: call.id, content: output });
    }
  }
}

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "evener-session-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

describe.each(Object.entries(HARNESSES))("%s", (_, names) => {
  test("plays the whole session with the harness's own tools", async () => {
    const directory = temporary();
    const played = await play(names, { directory, content: "one\ntwo\n", command: "echo hi" }, "You are an agent.");
    expect(played.called).toEqual([names.run, names.write, names.read]);
    expect(played.text).toBe(`Done. The command printed "hi", and ${directory}/simulated-session.txt says "one\ntwo".`);
    expect(readFileSync(join(directory, "simulated-session.txt"), "utf8")).toBe("one\ntwo\n");
  });
});

test("writes and reads by the shell where a harness has no tools for files, as Codex", async () => {
  const directory = temporary();
  const content = `it's "one"\n$two \\ 漢字\n`;
  const simulator = await simulate({ script: agentSession({ content, command: "echo hi" }) });
  const properties = { cmd: { type: "string" } };
  const shell = { name: "exec_command", parameters: { type: "object", properties, required: ["cmd"] } };
  const messages: JsonObject[] = [{ role: "user", content: `<cwd>${directory}</cwd>\nGo.` }];
  const called: string[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const body = { messages, tools: [{ type: "function", function: shell }] };
    const { message } = JSON.parse((await chat(simulator, body).answer).text).choices[0];
    const [call] = message.tool_calls;
    called.push(call.function.name);
    const output = execFileSync("/bin/sh", ["-c", JSON.parse(call.function.arguments).cmd], { encoding: "utf8" });
    messages.push(message, { role: "tool", tool_call_id: call.id, content: output });
  }
  const { message } = JSON.parse(
    (await chat(simulator, { messages, tools: [{ type: "function", function: shell }] }).answer).text,
  ).choices[0];
  expect(called).toEqual(["exec_command", "exec_command", "exec_command"]);
  expect(readFileSync(join(directory, "simulated-session.txt"), "utf8")).toBe(content);
  expect(message.content).toMatch(/^Done\. The command printed "hi", and /);
});

test("finds the directory in the system prompt, or says that it did not", async () => {
  const directory = temporary();
  const names = HARNESSES["Claude Code"]!;
  const found = await play(names, {}, `<env>\n - Primary working directory: ${directory}\n</env>`);
  expect(found.text).toContain(`${directory}/simulated-session.txt says`);
  expect((await play(names, {}, "Nothing.")).text).toContain("needs a directory");
});

test("leaves requests without such tools to the default answer", async () => {
  const simulator = await simulate({ script: agentSession() });
  const { text } = await chat(simulator, { messages: [{ role: "user", content: "A title?" }] }).answer;
  expect(JSON.parse(text).choices[0].message.content).toContain("simulated engine");
});

test("does not call it done when the file was not read back", async () => {
  const simulator = await simulate({ script: agentSession({ directory: "/nowhere" }) });
  const result = { role: "tool", content: "no such file" };
  const messages = [{ role: "user", content: "Go." }, result, result, result];
  const { text } = await chat(simulator, { messages, tools: tools(HARNESSES["OpenCode"]!) }).answer;
  expect(JSON.parse(text).choices[0].message.content).toBe(
    "Not done: /nowhere/simulated-session.txt does not hold what was written. The tool said: no such file",
  );
});
