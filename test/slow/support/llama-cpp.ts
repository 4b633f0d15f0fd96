/** A real llama.cpp for the slow tests: its own HTTP server with a real small model, from scripts/llama-cpp. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { waitUntil } from "../../support/wait-until.ts";

/** The name under which scripts/llama-cpp/serve.py serves the model. */
export const SERVED_MODEL = "test-model";

export type LlamaCpp = {
  url: string;
  /** Requests that it works on. */
  running(): Promise<number>;
  /** Resolves once it works on none. */
  idle(): Promise<void>;
  stop(): Promise<void>;
};

const SCRIPTS = join(import.meta.dirname, "../../../scripts");
const TEMPLATE = ["accepting", "body"].map((name) => join(SCRIPTS, `vllm/templates/${name}.jinja`));

/** `window` in tokens; where the cache is shared, of both slots together. */
export async function startLlamaCpp(options: { window: number; sharedCache?: boolean }): Promise<LlamaCpp> {
  const { stdout } = await promisify(execFile)(join(SCRIPTS, "llama-cpp/install.sh"), { timeout: 300_000 });
  const shared = options.sharedCache === true ? ["--shared-cache"] : [];
  const args = ["--template", ...TEMPLATE, "--window", `${options.window}`, ...shared];
  const child = spawn(join(stdout.trim(), "bin/python"), [join(SCRIPTS, "llama-cpp/serve.py"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const exit = once(child, "exit");
  const ended = exit.then(() => {
    throw new Error(`llama.cpp did not come up; it said:\n${log}`);
  });
  const [line] = (await Promise.race([once(createInterface(child.stdout), "line"), ended])) as [string];
  ended.catch(() => {}); // from here on its end is what `stop` waits for
  const { url } = JSON.parse(line) as { url: string };
  const running = async () => {
    const slots = (await (await fetch(`${url}/slots`)).json()) as { is_processing: boolean }[];
    return slots.filter((slot) => slot.is_processing).length;
  };
  return {
    url,
    running,
    idle: () => waitUntil("llama.cpp to be idle", async () => (await running()) === 0, 60_000),
    stop: async () => {
      child.kill("SIGTERM");
      await exit;
    },
  };
}
