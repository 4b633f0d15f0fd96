/** Runs a program to its end and keeps what it said. */
import { type ChildProcess, spawn } from "node:child_process";

export type Finished = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };

export type RunOptions = {
  env: Record<string, string>;
  cwd?: string;
  /** Killed after so many milliseconds; the result then has `signal: "SIGKILL"`. */
  timeoutMs?: number;
  /** What it reads from its standard input; nothing by default. */
  input?: string;
  /** Told of the process as soon as it runs. */
  onStart?: (child: ChildProcess) => void;
};

export async function runProcess(file: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const child = spawn(file, args, { cwd: options.cwd, env: options.env, stdio: ["pipe", "pipe", "pipe"] });
  // One that ends without reading is not to be blamed on whoever wrote.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  options.onStart?.(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 50_000);
  try {
    return await new Promise<Finished>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
  } finally {
    clearTimeout(timer);
  }
}
