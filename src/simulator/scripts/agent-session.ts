/**
 * A whole agent session as a script: run a command, write a file, read it back, finish with text.
 *
 * Plays with the tools that the harness itself sends (Claude Code, OpenCode, Qwen Code and others name them differently), and
 * moves on by the tool results that the conversation has, so that retries and parallel sessions do it no harm.
 */
import { isObject } from "../chat-body.ts";
import { schemaInstance } from "../schema-instance.ts";
import { messageText } from "../script-runner.ts";
import type { JsonObject, ScriptRequest, ScriptTool, Turn } from "../script.ts";

export type AgentSession = {
  /** Where the file is written; absent, the working directory that the harness names in its system prompt. */
  directory?: string;
  /** Name of the file in that directory. */
  file?: string;
  content?: string;
  /** Shell command of the first call. */
  command?: string;
  /** Reasoning before each answer. */
  reasoning?: string;
};

type Purpose = "run" | "write" | "read";

/** By purpose: names of tools, and of their parameters for what the session has to say. */
const TOOLS: Record<Purpose, readonly string[]> = {
  run: ["Bash", "bash", "run_shell_command", "shell", "exec_command"],
  write: ["Write", "write", "write_file"],
  read: ["Read", "read", "read_file"],
};
const PARAMETERS = {
  command: ["command", "cmd"],
  path: ["file_path", "filePath", "absolute_path", "path"],
  content: ["content", "contents"],
} as const;

/** Requests without such tools (a harness's titles and summaries) are left to the default answer. */
export function agentSession(session: AgentSession = {}): (request: ScriptRequest) => Turn | undefined {
  const content = session.content ?? "Written by the simulated engine.\n";
  const thinks = session.reasoning === undefined ? {} : { reasoning: session.reasoning };
  return (request) => {
    const tools = findTools(request.tools);
    if (!tools) return undefined;
    const directory = session.directory ?? workingDirectory(request.messages);
    if (directory === undefined) {
      return { text: "The simulated session needs a directory, and the system prompt names no working directory." };
    }
    const path = `${directory.replace(/\/+$/, "")}/${session.file ?? "simulated-session.txt"}`;
    switch (request.toolResults) {
      case 0: {
        const command = session.command ?? "echo simulated session";
        return { ...thinks, text: "I run a command first.", calls: [call(tools.run, { command })] };
      }
      case 1:
        return { ...thinks, text: "Now I write the file.", calls: [write(tools, path, content)] };
      case 2:
        return { ...thinks, text: "I read it back.", calls: [read(tools, path)] };
      default:
        return { ...thinks, text: conclusion(request.messages, path, content) };
    }
  };
}

/** Says whether the file was read back, so that a test of the last text is a test of the whole session. */
function conclusion(messages: readonly JsonObject[], path: string, content: string): string {
  const results = messages.filter(({ role }) => role === "tool").map(messageText);
  const output = results[0]?.trim().split("\n", 1)[0] ?? "";
  const read = results.at(2) ?? "";
  if (!read.includes(content.trim())) return `Not done: ${path} does not hold what was written. The tool said: ${read}`;
  return `Done. The command printed "${output}", and ${path} says "${content.trim()}".`;
}

type SessionTools = { run: ScriptTool; write?: ScriptTool; read?: ScriptTool };

/** Codex has no tools for files; all others have both. */
function findTools(tools: readonly ScriptTool[]): SessionTools | undefined {
  const find = (purpose: Purpose): ScriptTool | undefined => tools.find(({ name }) => TOOLS[purpose].includes(name));
  const [run, write, read] = [find("run"), find("write"), find("read")];
  if (run && write && read) return { run, write, read };
  return run?.name === "exec_command" ? { run } : undefined;
}

function write(tools: SessionTools, path: string, content: string) {
  if (tools.write) return call(tools.write, { path, content });
  return call(tools.run, { command: `printf %s ${shellWord(content)} > ${shellWord(path)}` });
}

function read(tools: SessionTools, path: string) {
  return tools.read ? call(tools.read, { path }) : call(tools.run, { command: `cat ${shellWord(path)}` });
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Arguments under the tool's own parameter names; whatever else it requires is filled in. */
function call(tool: ScriptTool, values: Partial<Record<keyof typeof PARAMETERS, string>>) {
  const properties = isObject(tool.parameters["properties"]) ? tool.parameters["properties"] : {};
  const required = schemaInstance(tool.parameters);
  const given: JsonObject = {};
  for (const [kind, value] of Object.entries(values)) {
    const names: readonly string[] = PARAMETERS[kind as keyof typeof PARAMETERS];
    given[names.find((name) => name in properties) ?? names[0] ?? kind] = value;
  }
  return { name: tool.name, arguments: { ...(isObject(required) && required), ...given } };
}

/** In words, or as Codex's `<cwd>`. */
function workingDirectory(messages: readonly JsonObject[]): string | undefined {
  for (const message of messages) {
    const found = /(?:working directory: *|<cwd>)(\/[^\n<]*)/i.exec(messageText(message))?.[1];
    if (found !== undefined) return found.trim();
  }
  return undefined;
}
