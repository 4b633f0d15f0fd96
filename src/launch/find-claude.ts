/** Knows where Claude Code may be installed: by its installer, by npm, or wherever EVENER_CLAUDE_BIN says. */
import { delimiter, dirname, join } from "node:path";
import type { Environment } from "./claude-code-variables.ts";

export type Machine = {
  environment: Environment;
  home: string;
  cwd: string;
  platform: string;
  arch: string;
  /** The running node's binary: npm's global folder lies beside it. */
  node: string;
  /** Whether the path is a file that may be run. */
  isExecutable: (path: string) => boolean;
};

export const INSTALL_CLAUDE = "npm install -g @anthropic-ai/claude-code";

/** The first Claude Code found, or undefined. EVENER_CLAUDE_BIN, when set, is the only place. */
export function findClaude(machine: Machine): string | undefined {
  const named = machine.environment["EVENER_CLAUDE_BIN"];
  const places = named ? [named] : candidates(machine);
  return places.find((path) => machine.isExecutable(path));
}

function* candidates(machine: Machine): Generator<string> {
  const name = machine.platform === "win32" ? "claude.exe" : "claude";
  for (const folder of (machine.environment["PATH"] ?? "").split(delimiter))
    if (folder !== "") yield join(folder, name);
  yield join(machine.home, ".local", "bin", name);
  yield join(machine.home, ".claude", "local", name);
  // The platform package's own binary: npm's wrapper beside it is empty when the postinstall script was blocked.
  const binary = join("node_modules", "@anthropic-ai", `claude-code-${machine.platform}-${machine.arch}`, name);
  for (let folder = machine.cwd; ; folder = dirname(folder)) {
    yield join(folder, binary);
    if (dirname(folder) === folder) break;
  }
  for (const prefix of [machine.environment["NPM_CONFIG_PREFIX"], dirname(dirname(machine.node))]) {
    if (!prefix) continue;
    yield join(prefix, "lib", binary);
    yield join(prefix, "lib", "node_modules", "@anthropic-ai", "claude-code", binary);
  }
}
