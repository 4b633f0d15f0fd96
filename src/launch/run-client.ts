/** Runs a client in the foreground: its terminal, its signals, its exit status. */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";

export type Ended = { code: number } | { signal: NodeJS.Signals };

const FORWARDED = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** Starts the client with this process's terminal and waits for its end. Rejects when it cannot be started. */
export async function runClient(binary: string, args: readonly string[], env: Record<string, string>): Promise<Ended> {
  let child: ChildProcess | undefined;
  // A terminal sends its signals to the whole foreground group: passed on as well, one Ctrl-C would arrive as two.
  const fromTerminal = process.stdin.isTTY || process.stdout.isTTY;
  // Listening before the client starts, or a signal in between would end this process and leave the client alone.
  const listeners = FORWARDED.map((signal) => {
    const listener = (): void => {
      if (!(fromTerminal && (signal === "SIGINT" || signal === "SIGQUIT"))) child?.kill(signal);
    };
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  try {
    const started = spawn(binary, args, { stdio: "inherit", env });
    child = started;
    return await new Promise<Ended>((resolve, reject) => {
      started.once("error", reject);
      started.once("exit", (code, signal) => resolve(signal === null ? { code: code ?? 1 } : { signal }));
    });
  } finally {
    for (const off of listeners) off();
  }
}

/** Ends this process as the client ended, so that a shell cannot tell the difference. */
export function endAs(ended: Ended): void {
  if ("code" in ended) {
    process.exitCode = ended.code;
    return;
  }
  process.exitCode = 128 + constants.signals[ended.signal];
  process.kill(process.pid, ended.signal);
}
