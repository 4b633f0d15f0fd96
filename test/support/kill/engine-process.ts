/** Starts and kills a simulated engine, and reads its diary: the truth that the gateway's bills are compared with. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitUntil } from "../wait-until.ts";
import { hasEnded, listenTo, startNode } from "./children.ts";

/** One answer as the engine gave it; a request that was tried again has several, of which the last one counts. */
export type Generation = {
  prompt: number;
  cached: number;
  /** Output tokens so far, and when (milliseconds since 1970). */
  counts: { at: number; output: number }[];
};

export type EngineProcess = {
  readonly url: string;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** Lives again, on the same port and with the same diary. */
  restart(): Promise<void>;
  /** What was generated since the last call, by request id. */
  takeDiary(): Map<string, Generation[]>;
};

const CHILD = fileURLToPath(new URL("engine-child.ts", import.meta.url));

/** The diary is kept in `directory`. */
export async function startEngine(directory: string): Promise<EngineProcess> {
  const diary = join(directory, "engine-diary");
  closeSync(openSync(diary, "a"));
  const file = openSync(diary, "r");
  let child: ChildProcess;
  let rest = "";

  const start = async (port: string): Promise<string> => {
    const started = startNode([CHILD, port, diary]);
    child = started;
    let said = "";
    listenTo(started, (text) => (said += text));
    await waitUntil("the simulated engine to start", () => said.includes("\n") || hasEnded(started));
    if (hasEnded(started)) throw new Error(`the simulated engine did not start: ${said}`);
    return said.trim();
  };
  const url = await start("0");

  return {
    url,
    async kill() {
      if (hasEnded(child)) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
    async restart() {
      await start(new URL(url).port);
    },
    takeDiary() {
      const generations = new Map<string, Generation[]>();
      const lines = (rest + readOn(file)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) note(generations, line);
      return generations;
    },
  };
}

function readOn(file: number): string {
  const buffer = Buffer.alloc(64 * 1024);
  let text = "";
  for (;;) {
    const length = readSync(file, buffer);
    if (length === 0) return text;
    text += buffer.toString("latin1", 0, length);
  }
}

function note(generations: Map<string, Generation[]>, line: string): void {
  const [at, id = "", prompt, cached, output] = line.split(" ");
  const attempts = generations.get(id) ?? [];
  generations.set(id, attempts);
  if (output === "0" || attempts.length === 0)
    attempts.push({ prompt: Number(prompt), cached: Number(cached), counts: [] });
  attempts.at(-1)?.counts.push({ at: Number(at), output: Number(output) });
}
