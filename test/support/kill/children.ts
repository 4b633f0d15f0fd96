/** Starts programs that end with this process, also when it is interrupted and nobody is left to stop them. */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export type ChildOptions = { cwd?: string; env?: NodeJS.ProcessEnv };

/** A Node program; its output is for the caller to read. */
export function startNode(args: readonly string[], options: ChildOptions = {}): ChildProcess {
  const stdio: StdioOptions = ["ignore", "pipe", "pipe"];
  const child = spawn(process.execPath, args, { ...options, stdio });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** What it says from now on, both streams together. */
export function listenTo(child: ChildProcess, hear: (text: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", hear);
}
