/** A program on a terminal of its own, as a person would use it: `script` of util-linux makes one, so this is for Linux. */
import { type ChildProcess, spawn } from "node:child_process";
import xterm from "@xterm/headless";
import { waitUntil } from "./wait-until.ts";

const COLUMNS = 160;
const ROWS = 50;

export type Terminal = {
  child: ChildProcess;
  /** What is on the screen now and above it, as text; lines that were wrapped have become one, and runs of blanks a single one. */
  shown(): string;
  type(keys: string): void;
};

export function onTerminal(line: readonly string[], cwd: string, env: Record<string, string>): Terminal {
  const quoted = line.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const sized = `stty cols ${COLUMNS} rows ${ROWS}; exec ${quoted}`;
  const child = spawn("script", ["-qefc", sized, "/dev/null"], {
    cwd,
    env: { ...env, TERM: "xterm-256color" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  // Programs draw only what has changed, here and there: no reading of their output tells what a person sees.
  const screen = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, scrollback: 1_000, allowProposedApi: true });
  child.stdout.on("data", (bytes: Buffer) => screen.write(bytes));
  child.once("exit", () => screen.dispose());
  return {
    child,
    shown() {
      const buffer = screen.buffer.active;
      const lines = Array.from({ length: buffer.length }, (_, y) => buffer.getLine(y)?.translateToString(true) ?? "");
      return lines.join(" ").replaceAll(/\s+/g, " ");
    },
    type: (keys) => void child.stdin.write(keys),
  };
}

const ERASE_LINE = "\x15";

/**
 * Types a line at a prompt, sends it, and waits for what comes of it. An input box takes keys only a moment after it is drawn, and whoever
 * types cannot know when: what does not appear is typed again, and what is not sent is sent again.
 */
export async function say(terminal: Terminal, line: string, what: string, done: () => boolean): Promise<void> {
  const times = (): number => terminal.shown().split(line).length;
  const before = times();
  try {
    await repeat(
      () => terminal.type(ERASE_LINE + line),
      `${line} in the box`,
      () => times() > before,
    );
    await repeat(() => terminal.type("\r"), what, done);
  } catch (error) {
    throw new Error(`${String(error)}; on the screen: ${terminal.shown()}`, { cause: error });
  }
}

const PATIENCE_MS = 3_000;

async function repeat(act: () => void, what: string, done: () => boolean): Promise<void> {
  act();
  const again = setInterval(act, PATIENCE_MS);
  try {
    await waitUntil(what, done, 10 * PATIENCE_MS);
  } finally {
    clearInterval(again);
  }
}
