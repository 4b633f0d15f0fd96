/** A real Postgres for the bench, pinned to the gateway's core: what it costs belongs to what the gateway costs. */
import { execFileSync } from "node:child_process";
import { startPostgres } from "../test/support/postgres.ts";
import { processTree } from "./cpu-clock.ts";

export type Database = { url: string; pids: readonly number[]; stop(): Promise<void> };

export async function startDatabase(cpu: number): Promise<Database> {
  const before = new Set(processTree([process.pid]));
  const postgres = await startPostgres();
  const pids = processTree([process.pid]).filter((pid) => !before.has(pid));
  // Servers of later connections are forked from these, and stay on their core.
  for (const pid of pids) execFileSync("taskset", ["-a", "-p", "-c", String(cpu), String(pid)], { stdio: "ignore" });
  return { url: await postgres.createDatabase(), pids, stop: () => postgres.stop() };
}
