/**
 * The public validator of FOCUS files (`focus-validator` on PyPI), pinned, in a virtual environment of its own in the cache. Its own pins
 * ask for a numpy that has no wheels for newer Pythons, so what it imports is installed beside it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { runProcess } from "./run-process.ts";

const VERSION = "2.2.1";
const IMPORTS = ["duckdb==1.5.0", "pandas==2.3.3", "polars==1.44.2", "pyarrow==26.0.1", "pydantic==2.14.3"];
const SMALL_IMPORTS = ["sqlglot==27.29.0", "pyyaml==6.0.3", "requests==2.34.2", "pytz==2025.2", "graphviz==0.21"];
const MINUTES_10 = 600_000;

export type Verdict = {
  /** Rules that were looked at, and of those the ones that do not hold. */
  checked: number;
  failed: string[];
  output: string;
};

/** Validates a CSV file against FOCUS 1.2, by the rules that the package brings along. */
export async function validateFocus(csvFile: string): Promise<Verdict> {
  const { python, packages } = await installValidator();
  const args = ["--data-file", csvFile, "--validate-version", "1.2", "--block-download", "--show-violations"];
  // It opens one of its own files by a path from where it is installed.
  const { code, stdout, stderr } = await run(python, ["-m", "focus_validator.main", ...args], packages);
  const output = stdout + stderr;
  const totals = /Total: \d+ \| Pass: (\d+) \| Fail: (\d+)/.exec(output);
  if (code !== 0 || totals === null) throw new Error(`focus-validator ended with ${code}:\n${output}`);
  const failed = [...output.matchAll(/^- ([\w-]+): violations=/gm)].map((match) => match[1] ?? "");
  if (failed.length !== Number(totals[2]))
    throw new Error(`focus-validator's failures were not understood:\n${output}`);
  return { checked: Number(totals[1]) + Number(totals[2]), failed, output };
}

async function installValidator(): Promise<{ python: string; packages: string }> {
  const clients = process.env["EVENER_TEST_CLIENTS"] ?? join(homedir(), ".cache", "evener", "clients");
  const folder = join(clients, `focus-validator-${VERSION}`);
  if (!existsSync(folder)) {
    const draft = join(clients, `.focus-validator-${process.pid}`);
    mkdirSync(clients, { recursive: true });
    try {
      await must(findPython(), ["-m", "venv", draft]);
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      const python = join(draft, "bin", "python");
      await must(python, [...pip, "--no-deps", `focus-validator==${VERSION}`]);
      await must(python, [...pip, ...IMPORTS, ...SMALL_IMPORTS]);
      // Another suite may have been faster; its copy is as good.
      if (!existsSync(folder)) renameSync(draft, folder);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  const [packages] = globSync(join(folder, "lib", "python3.*", "site-packages"));
  if (packages === undefined) throw new Error(`${folder} is no virtual environment; remove it`);
  return { python: join(folder, "bin", "python"), packages };
}

/** It is written in the syntax of Python 3.12. EVENER_PYTHON names another one to try first. */
function findPython(): string {
  const versions = globSync(join(homedir(), ".pyenv", "versions", "3.1[2-9]*", "bin", "python3"));
  const candidates = ["python3", "python3.12", "python3.13", "python3.14", ...versions];
  if (process.env["EVENER_PYTHON"]) candidates.unshift(process.env["EVENER_PYTHON"]);
  const found = candidates.find((candidate) => {
    try {
      const check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))";
      execFileSync(candidate, ["-c", check], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error("focus-validator needs Python 3.12 or newer with venv; set EVENER_PYTHON");
  return found;
}

async function must(file: string, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await run(file, args);
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
}

/** With the machine's own environment: registries and proxies are configured there. */
function run(file: string, args: readonly string[], cwd?: string) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return runProcess(file, args, { env, timeoutMs: MINUTES_10, ...(cwd !== undefined && { cwd }) });
}
