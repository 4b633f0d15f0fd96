/** Starts the built gateway for the bench, on an embedded store or on Postgres, pinned to a core. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, startChild } from "./child.ts";

const BIN = join(import.meta.dirname, "..", "bin", "evener.js");

export type Evener = { url: string; key: string; pid: number; stop(): Promise<void> };

export type EvenerOptions = {
  engine: string;
  cpu: number;
  databaseUrl?: string;
  /** Served name of the model that has a price, paid from a tenant's credit under a budget of its key; without it, nothing costs anything. */
  priced?: string;
  /** Directory for a CPU profile that is written when the gateway stops. */
  profile?: string;
};

export async function startEvener(options: EvenerOptions): Promise<Evener> {
  const data = mkdtempSync(join(tmpdir(), "evener-bench-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { DATABASE_URL: _, ...inherited } = process.env;
  const env: NodeJS.ProcessEnv = {
    ...inherited,
    EVENER_DATA: data,
    ...(options.databaseUrl !== undefined && { DATABASE_URL: options.databaseUrl }),
  };
  const profile = options.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profile}`];
  const command = [process.execPath, ...profile, BIN, "up", "--engine", options.engine, "--port", String(port)];
  const child = startChild(command, options.cpu, { env, outputFile: join(data, "bench.log") });
  const stop = async () => {
    await child.stop();
    rmSync(data, { recursive: true, force: true });
  };
  try {
    await ready(url, child);
    const cli = (...args: string[]): string => execFileSync(process.execPath, [BIN, ...args], { env }).toString();
    if (options.priced !== undefined) {
      cli("price", "set", options.priced, "--input", "0.60", "--cache-read", "0.06", "--output", "2.40");
      cli("tenant", "create", "bench", "--prepaid");
      cli("tenant", "credit", "bench", "1000000");
    }
    const { key, id } = JSON.parse(cli("key", "create", "--tenant", "bench", "--json")) as Record<"key" | "id", string>;
    if (options.priced !== undefined) cli("budget", "set", "--key", id, "--period", "month", "--amount", "1000000");
    return { url, key, pid: child.pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ready(url: string, child: Child): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    if (child.hasEnded()) throw new Error("the gateway ended while it started");
    const answer = await fetch(`${url}/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(200);
  }
  throw new Error(`the gateway on ${url} was not ready after 30 s`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
