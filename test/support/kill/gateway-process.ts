/** Starts, kills and restarts the built gateway, `evener serve`, on one data directory; and asks its admin API. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { EVENER, awaitGatewayFile, cleanEnvironment } from "../evener.ts";
import { send } from "../http.ts";
import { hasEnded, listenTo, startNode } from "./children.ts";

export type GatewayProcess = {
  /** Where it listens now; another place after each start. */
  readonly url: string;
  /** Starts it, and resolves when it serves. */
  start(): Promise<void>;
  /** Starts it and kills it after so many milliseconds, wherever it is then. */
  startAndKill(ms: number): Promise<void>;
  /** kill -9; resolves with the moment before (milliseconds since 1970) when it is gone. */
  kill(): Promise<number>;
  /** SIGTERM, and its end; rejects when it does not end by itself with 0. */
  stop(): Promise<void>;
  /** An answer of the admin API, parsed. Rejects when it is not a success. */
  admin<T>(path: string, body?: object): Promise<T>;
  /** What this process wrote since it started. */
  log(): string;
};

export type GatewayProcessOptions = {
  /** Holds the data directory and the configuration. */
  directory: string;
  engineUrl: string;
  secret: string;
  databaseUrl?: string | undefined;
};

/** Makes it ready; `start` runs it. */
export function gatewayProcess(options: GatewayProcessOptions): GatewayProcess {
  const { directory, engineUrl, secret, databaseUrl } = options;
  const dataDir = join(directory, "data");
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const configuration = join(directory, "evener.json");
  // An engine that is killed and comes back is seen again soon.
  writeFileSync(
    configuration,
    JSON.stringify({ engines: [{ url: engineUrl, name: "engine" }], timeouts: { probe_ms: 200 } }),
  );
  const env = {
    ...cleanEnvironment(directory),
    EVENER_DATA: dataDir,
    EVENER_SECRET: secret,
    ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }),
  };
  let child: ChildProcess | undefined;
  let output = "";
  let url = "";
  let adminKey = "";

  const run = (): ChildProcess => {
    output = "";
    const started = startNode([EVENER, "serve", "--config", configuration, "--port", "0"], { cwd: directory, env });
    listenTo(started, (text) => (output += text));
    return (child = started);
  };
  const kill = async (): Promise<number> => {
    const process = child;
    if (process === undefined) throw new Error("there is no gateway to kill");
    if (hasEnded(process)) throw new Error(`the gateway had ended before it was killed; it said:\n${output}`);
    const closed = once(process, "close");
    const at = Date.now();
    process.kill("SIGKILL");
    await closed;
    return at;
  };

  return {
    get url() {
      return url;
    },
    log: () => output,
    kill,
    async start() {
      const file = await awaitGatewayFile(run(), dataDir, 60_000).catch((error: Error) => {
        throw new Error(`${error.message}; it said:\n${output}`, { cause: error });
      });
      url = file.url;
      adminKey = file.admin_key;
    },
    async startAndKill(ms) {
      run();
      await setTimeout(ms);
      await kill();
    },
    async stop() {
      const process = child;
      if (process === undefined || hasEnded(process)) return;
      const closed = once(process, "close");
      process.kill("SIGTERM");
      await closed;
      if (process.exitCode !== 0)
        throw new Error(`the gateway ended with ${process.exitCode ?? process.signalCode}; it said:\n${output}`);
    },
    async admin<T>(path: string, body?: object) {
      const answer = await send(`${url}/admin/v1${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { authorization: `Bearer ${adminKey}` },
        ...(body !== undefined && { body }),
      });
      if (answer.status >= 300) throw new Error(`the admin API answered ${answer.status} on ${path}: ${answer.text}`);
      return JSON.parse(answer.text) as T;
    },
  };
}
