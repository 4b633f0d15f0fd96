/** Runs the real aider against a gateway in a git repository of its own, for one message. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningEvener, cleanEnvironment } from "./evener.ts";
import { type Finished, type RunOptions, runProcess } from "./run-process.ts";

export type AiderOptions = Partial<RunOptions> & {
  /** Python of its virtual environment. */
  python: string;
  model: string;
  message: string;
  /** Files of the repository that it may edit. */
  files: readonly string[];
  cwd: string;
  /** Tokens of the model's window. */
  window?: number;
  args?: readonly string[];
};

/** Makes a repository with one commit of these files. */
export function gitRepository(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  git(folder, "init", "--quiet", "--initial-branch=main");
  git(folder, "config", "user.name", "Test");
  git(folder, "config", "user.email", "test@example.com");
  git(folder, "add", ".");
  git(folder, "commit", "--quiet", "--message=Begin");
}

export function git(folder: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: folder, encoding: "utf8", env: cleanEnvironment(folder) }).trim();
}

/** Without these it asks GitHub for a price list, PyPI for updates, and a person for leave. */
const QUIET = [
  "--yes-always",
  "--no-check-update",
  "--no-show-release-notes",
  "--no-show-model-warnings",
  "--analytics-disable",
  "--no-gitignore",
  "--no-detect-urls",
  "--no-pretty",
  "--map-tokens",
  "0",
] as const;

/** docs/clients.md shows this as `.aider.model.metadata.json`: without it aider asks GitHub what the model is. */
export function aiderModels(model: string, window = 131_072): object {
  const limits = { max_input_tokens: window, max_output_tokens: 8_192 };
  const prices = { input_cost_per_token: 0, output_cost_per_token: 0 };
  return { [`openai/${model}`]: { ...limits, ...prices, litellm_provider: "openai", mode: "chat" } };
}

export async function runAider(evener: Pick<RunningEvener, "url" | "key">, options: AiderOptions): Promise<Finished> {
  const home = mkdtempSync(join(tmpdir(), "evener-aider-home-"));
  try {
    const env = {
      ...cleanEnvironment(home),
      OPENAI_API_BASE: `${evener.url}/v1`,
      OPENAI_API_KEY: evener.key,
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      ...options.env,
    };
    const metadata = join(home, "models.json");
    writeFileSync(metadata, JSON.stringify(aiderModels(options.model, options.window)));
    const args = ["-m", "aider", "--model", `openai/${options.model}`, ...QUIET, ...(options.args ?? [])];
    const line = [...args, "--model-metadata-file", metadata, "--message", options.message, ...options.files];
    return await runProcess(options.python, line, { ...options, env });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
