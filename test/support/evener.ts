/** Runs the built product as a person would: `node bin/evener.js …` with an environment of its own and a fresh data directory. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { placeEmptyDatabase } from "./empty-database.ts";
import { type Finished, type RunOptions, runProcess } from "./run-process.ts";

export const EVENER = fileURLToPath(new URL("../../bin/evener.js", import.meta.url));

export type RunningEvener = {
  /** Base address without a path. */
  readonly url: string;
  /** A virtual key. */
  readonly key: string;
  readonly adminKey: string;
  readonly dataDir: string;
  readonly pid: number;
  /** The environment in which commands find this gateway. */
  readonly env: Record<string, string>;
  /** What it wrote so far, both streams together. */
  log(): string;
  /** Runs another command against it. */
  cli(args: readonly string[], options?: Partial<RunOptions>): Promise<Finished>;
  /** Sends SIGTERM and waits for its end. Safe to call twice. */
  stop(): Promise<void>;
};

export type EvenerOptions = {
  engines: readonly string[];
  args?: readonly string[];
  env?: Record<string, string>;
  /** Kept at its end, for another to go on with; a fresh one that goes with it by default. */
  dataDir?: string;
  /** Start on nothing at all, as the first start on a machine does, and not on a prepared empty database. */
  fromNothing?: boolean;
  /** Milliseconds until it must be up. */
  patienceMs?: number;
};

/** Nothing of the machine's own: no proxy, no key, no other gateway's data, no configuration file nearby. */
export function cleanEnvironment(home: string): Record<string, string> {
  return { PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`, HOME: home, LANG: "C.UTF-8" };
}

/** Runs one command of the built product. */
export function runEvener(args: readonly string[], options: RunOptions): Promise<Finished> {
  return runProcess(process.execPath, [EVENER, ...args], options);
}

/** `evener up` in front of the engines, on a free port. Rejects with all it said when it does not come up. */
export async function startEvener(options: EvenerOptions): Promise<RunningEvener> {
  const home = mkdtempSync(join(tmpdir(), "evener-e2e-"));
  const dataDir = options.dataDir ?? join(home, "data");
  if (options.fromNothing !== true && !existsSync(dataDir)) await placeEmptyDatabase(dataDir);
  const env = { ...cleanEnvironment(home), EVENER_DATA: dataDir, ...options.env };
  const engines = options.engines.flatMap((url) => ["--engine", url]);
  const child = spawn(process.execPath, [EVENER, "up", ...engines, "--port", "0", ...(options.args ?? [])], {
    cwd: home,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const stop = async (): Promise<void> => {
    if (!hasEnded(child)) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(home, { recursive: true, force: true });
  };
  const file = await awaitGatewayFile(child, dataDir, options.patienceMs ?? 55_000).catch(async (error: Error) => {
    await stop();
    throw new Error(`${error.message}; it said:\n${output}`, { cause: error });
  });
  return {
    url: file.url,
    key: file.client_key,
    adminKey: file.admin_key,
    dataDir,
    pid: file.pid,
    env,
    log: () => output,
    cli: (args, more = {}) => runEvener(args, { cwd: home, ...more, env: { ...env, ...more.env } }),
    stop,
  };
}

type GatewayFile = { url: string; pid: number; admin_key: string; client_key: string };

/** What the gateway of this process says of itself once it serves. */
export async function awaitGatewayFile(child: ChildProcess, dataDir: string, patienceMs: number): Promise<GatewayFile> {
  const deadline = Date.now() + patienceMs;
  while (Date.now() < deadline) {
    if (hasEnded(child)) throw new Error(`the gateway ended with ${child.exitCode ?? child.signalCode}`);
    const file = readGatewayFile(dataDir);
    // One that another left when it was killed is not this one's.
    if (file !== undefined && file.pid === child.pid) return file;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`the gateway left no gateway.json within ${patienceMs} ms`);
}

function readGatewayFile(dataDir: string): GatewayFile | undefined {
  try {
    return JSON.parse(readFileSync(join(dataDir, "gateway.json"), "utf8")) as GatewayFile;
  } catch {
    return undefined;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
