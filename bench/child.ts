/** Starts the bench's own processes, pinned to a core, and talks to them by lines. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";

export type Child = {
  pid: number;
  /** The next line that it prints; rejects when it ends before that. */
  line(): Promise<string>;
  send(line: string): void;
  hasEnded(): boolean;
  /** Ends it gently, so that it can write what it still has to write. */
  stop(): Promise<void>;
};

export type ChildOptions = {
  env?: NodeJS.ProcessEnv;
  /** A file for what it prints, for those that print more than lines to talk by: a pipe that nobody reads stops its writer. */
  outputFile?: string;
};

export function startChild(command: readonly string[], cpu: number, options: ChildOptions = {}): Child {
  const output = options.outputFile === undefined ? "pipe" : openSync(options.outputFile, "w");
  const child: ChildProcess = spawn("taskset", ["-c", String(cpu), ...command], {
    env: options.env ?? process.env,
    stdio: ["pipe", output, "inherit"],
  });
  const ended = once(child, "exit");
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  if (typeof output === "number") closeSync(output);
  const lines = child.stdout === null ? undefined : createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    // taskset replaces itself by the command, so this is the command's own.
    pid: child.pid!,
    line: async () => {
      const next = await lines?.next();
      if (next === undefined || next.done === true)
        throw new Error(`${command.join(" ").slice(0, 200)} ended (exit ${child.exitCode})`);
      return next.value;
    },
    send: (line) => child.stdin!.write(`${line}\n`),
    hasEnded,
    stop: async () => {
      if (!hasEnded()) child.kill("SIGTERM");
      await ended;
    },
  };
}
