/** One measurement: one workload against one target, with the CPU that everybody took meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { startChild } from "./child.ts";
import { cpuMs, machineBusyMs, residentBytes } from "./cpu-clock.ts";
import type { LoadResult } from "./load-result.ts";
import type { Wire, Workload } from "./workloads.ts";

export type Target = {
  name: string;
  wire: Wire;
  url: string;
  key: string;
  /** Processes whose CPU is measured, with their descendants: the gateway, then its database. Memory is the gateway's. */
  pids: readonly number[];
};

export type Measurement = LoadResult & {
  workload: string;
  target: string;
  /** CPU of the target in the measured window, its length, and the chunks that arrived in it. */
  targetCpuMs: number;
  /** What of it the gateway's database took, where that is a process of its own. */
  databaseCpuMs: number;
  windowMs: number;
  residentPeakBytes: number;
  /** Cores that processes outside of the measurement kept busy: how noisy the machine was. */
  otherCores: number;
};

/** After the last answer the target may still write usage rows: that is part of their cost. */
const SETTLE_MS = 300;

export async function measure(workload: Workload, target: Target, loadCpu: number): Promise<Measurement> {
  const options = JSON.stringify({ workload: workload.name, wire: target.wire, url: target.url, key: target.key });
  const loader = startChild([process.execPath, `${import.meta.dirname}/load.ts`, options], loadCpu);
  try {
    if ((await loader.line()) !== "ready") throw new Error("the loader did not become ready");
    await sleep(SETTLE_MS);
    // Loader and upstream descend from this process; a database need not.
    const ours = [process.pid, ...target.pids];
    const read = () => ({
      at: performance.now(),
      target: cpuMs(target.pids),
      database: cpuMs(target.pids.slice(1)),
      ours: cpuMs(ours),
      busy: machineBusyMs(),
    });
    let peak = 0;
    const memory = setInterval(() => {
      peak = Math.max(peak, residentBytes(target.pids[0]!));
    }, 100);
    const answer = loader.line();
    loader.send("go");
    let before = read();
    let after: ReturnType<typeof read> | undefined;
    if (workload.steadyMs !== undefined) {
      await sleep(workload.steadyMs[0]);
      before = read();
      await sleep(workload.steadyMs[1] - workload.steadyMs[0]);
      after = read();
    }
    const result = JSON.parse(await answer) as LoadResult;
    clearInterval(memory);
    if (after === undefined) {
      await sleep(SETTLE_MS);
      after = read();
    }
    const windowMs = after.at - before.at;
    return {
      ...result,
      workload: workload.name,
      target: target.name,
      targetCpuMs: after.target - before.target,
      databaseCpuMs: after.database - before.database,
      windowMs,
      residentPeakBytes: peak,
      otherCores: Math.max(0, (after.busy - before.busy - (after.ours - before.ours)) / windowMs),
    };
  } finally {
    await loader.stop();
  }
}
