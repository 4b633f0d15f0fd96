/**
 * Brings real coding agents, pinned, from their registries into a cache outside the tree: `~/.cache/evener/clients`, or the
 * folder that EVENER_TEST_CLIENTS names.
 *
 * Each goes into a draft folder first and is renamed when complete, so what stands under its name is whole: suites run side by
 * side, and an install may be broken off.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { runProcess } from "./run-process.ts";

export const OPENCODE_VERSION = "1.18.33";
export const QWEN_CODE_VERSION = "0.15.10";
export const CODEX_VERSION = "0.169.0";
export const AIDER_VERSION = "0.86.2";
/** The newest Node on which Qwen Code 0.15.10 reaches anybody: its own undici does not get on with Node 26. */
const QWEN_NODE_VERSION = "24.21.0";

const INSTALL_TIMEOUT_MS = 600_000;

/** The path of OpenCode's binary: that of the platform's own package, because the main one only finds it in its postinstall. */
export function installOpenCode(): Promise<string> {
  const name = `opencode-${process.platform}-${process.arch}`;
  return installed(`opencode-${OPENCODE_VERSION}`, join("node_modules", name, "bin", "opencode"), (draft) =>
    npmInstall(draft, `${name}@${OPENCODE_VERSION}`),
  );
}

/** Qwen Code's script, and the Node to run it with. */
export async function installQwenCode(): Promise<{ node: string; script: string }> {
  const name = "@qwen-code/qwen-code";
  const node = `node-${process.platform}-${process.arch}`;
  const program = join("node_modules", name, "cli.js");
  const script = await installed(`qwen-code-${QWEN_CODE_VERSION}`, program, (draft) =>
    npmInstall(draft, `${name}@${QWEN_CODE_VERSION}`, `${node}@${QWEN_NODE_VERSION}`),
  );
  return { node: join(script.slice(0, -program.length), "node_modules", node, "bin", "node"), script };
}

const CODEX_TARGETS: Partial<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-musl",
  "linux-arm64": "aarch64-unknown-linux-musl",
  "darwin-x64": "x86_64-apple-darwin",
  "darwin-arm64": "aarch64-apple-darwin",
};

/** The path of Codex's binary: each platform's is a version of its own of the one package, whose script only passes everything on. */
export function installCodex(): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const target = CODEX_TARGETS[platform];
  if (target === undefined) throw new Error(`Codex is not made for ${platform}`);
  const name = "@openai/codex";
  return installed(`codex-${CODEX_VERSION}`, join("node_modules", name, "vendor", target, "bin", "codex"), (draft) =>
    npmInstall(draft, `${name}@${CODEX_VERSION}-${platform}`),
  );
}

/** The Python of aider's own virtual environment, to be run with `-m aider`: its scripts name the folder of the draft. */
export function installAider(): Promise<string> {
  return installed(`aider-${AIDER_VERSION}`, join("venv", "bin", "python"), async (draft) => {
    const venv = join(draft, "venv");
    const python = join(venv, "bin", "python");
    await run(findPython(), ["-m", "venv", venv], draft);
    const pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"] as const;
    await run(pip[0], [...pip.slice(1), "uv"], draft);
    await run(
      python,
      ["-m", "uv", "pip", "install", "--quiet", "--python", python, `aider-chat==${AIDER_VERSION}`],
      draft,
    );
  });
}

async function installed(name: string, program: string, install: (draft: string) => Promise<void>): Promise<string> {
  const clients = process.env["EVENER_TEST_CLIENTS"] ?? join(homedir(), ".cache", "evener", "clients");
  const folder = join(clients, name);
  const path = join(folder, program);
  if (existsSync(path)) return path;
  const draft = join(clients, `.${name}-${process.pid}`);
  mkdirSync(draft, { recursive: true });
  try {
    await install(draft);
    if (!existsSync(join(draft, program))) throw new Error(`${name} was installed without ${program}`);
    // Another suite may have been faster; its copy is as good.
    if (!existsSync(path)) renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return path;
}

async function npmInstall(draft: string, ...specs: string[]): Promise<void> {
  const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  await run("npm", ["install", "--prefix", draft, ...flags, ...specs], draft);
}

/** aider 0.86 wants Python 3.10 to 3.12. EVENER_PYTHON names another one to try first. */
function findPython(): string {
  const candidates = ["python3.12", "python3.11", "python3.10", "python3"];
  if (process.env["EVENER_PYTHON"]) candidates.unshift(process.env["EVENER_PYTHON"]);
  const check = "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))";
  const found = candidates.find((candidate) => {
    try {
      execFileSync(candidate, ["-c", check], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error("aider needs Python 3.10 to 3.12 with venv (Debian: python3-venv)");
  return found;
}

/** With the machine's own environment: registries and proxies are configured there. */
async function run(file: string, args: readonly string[], cwd: string): Promise<void> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const { code, stdout, stderr } = await runProcess(file, args, { env, cwd, timeoutMs: INSTALL_TIMEOUT_MS });
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
}
