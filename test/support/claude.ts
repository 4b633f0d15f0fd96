/**
 * Brings the real Claude Code and runs it through `evener claude`, with an empty home and none of the machine's settings.
 *
 * It is not a dependency of the project (its binary has hundreds of megabytes): each version is installed once into
 * `~/.cache/evener/clients` from npm. EVENER_TEST_CLIENTS names another folder, e.g. one that CI keeps.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { EVENER, type RunningEvener, cleanEnvironment } from "./evener.ts";
import { type Finished, type RunOptions, runProcess } from "./run-process.ts";

/** The newest version that is tested, and the oldest. */
export const CLAUDE_VERSIONS = ["2.1.330", "2.1.197"] as const;
export type ClaudeVersion = (typeof CLAUDE_VERSIONS)[number];

const PACKAGE = `@anthropic-ai/claude-code-${process.platform}-${process.arch}`;

/** The path of the binary; installs it when it is not there yet. Rejects when that fails, e.g. without a network. */
export async function installClaude(version: ClaudeVersion): Promise<string> {
  const clients = process.env["EVENER_TEST_CLIENTS"] ?? join(homedir(), ".cache", "evener", "clients");
  const folder = join(clients, `claude-code-${version}`);
  const binary = join(folder, "node_modules", PACKAGE, "claude");
  if (existsSync(binary)) return binary;
  // Into a folder of its own and then renamed: suites run side by side, and an install may be broken off.
  const draft = join(clients, `.claude-code-${version}-${process.pid}`);
  mkdirSync(draft, { recursive: true });
  const args = [
    "install",
    "--prefix",
    draft,
    "--no-save",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
  ];
  const env = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const installed = await runProcess("npm", [...args, `${PACKAGE}@${version}`], {
    env,
    cwd: draft,
    timeoutMs: 300_000,
  });
  if (installed.code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(`npm could not install ${PACKAGE}@${version}:\n${installed.stderr}`);
  }
  try {
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(binary)) throw error;
  }
  return binary;
}

/** A line of `--output-format stream-json`. */
export type ClaudeEvent = { type: string; subtype?: string; [key: string]: unknown };

export type ClaudeRun = Finished & {
  events: ClaudeEvent[];
  /** The last event, which says how the session ended. */
  result: ClaudeEvent | undefined;
};

export type ClaudeOptions = Partial<RunOptions> & {
  binary: string;
  /** Arguments for Claude Code. */
  args: readonly string[];
  /** Arguments for `evener claude` itself. */
  launcherArgs?: readonly string[];
  /** A program that runs it all, with its arguments, e.g. a tracer. */
  under?: readonly string[];
};

/** Arguments of a session without a person, whose events are printed as JSON lines. */
export const PRINT_EVENTS = ["--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"] as const;

/** Runs `evener claude` against a running gateway. */
export async function runClaude(
  evener: Pick<RunningEvener, "url" | "key">,
  options: ClaudeOptions,
): Promise<ClaudeRun> {
  const home = mkdtempSync(join(tmpdir(), "evener-claude-home-"));
  try {
    const env = {
      ...cleanEnvironment(home),
      // Claude Code runs as root only where it is told that this is a sandbox.
      IS_SANDBOX: "1",
      EVENER_URL: evener.url,
      EVENER_KEY: evener.key,
      EVENER_CLAUDE_BIN: options.binary,
      ...options.env,
    };
    const line = [
      ...(options.under ?? []),
      process.execPath,
      EVENER,
      "claude",
      ...(options.launcherArgs ?? []),
      ...options.args,
    ];
    const finished = await runProcess(line[0]!, line.slice(1), { cwd: home, ...options, env });
    const events = parseEvents(finished.stdout);
    return { ...finished, events, result: events.findLast((event) => event.type === "result") };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function parseEvents(stdout: string): ClaudeEvent[] {
  return stdout.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as ClaudeEvent];
    } catch {
      return [];
    }
  });
}
