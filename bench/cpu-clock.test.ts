import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { cpuMs, machineBusyMs, processTree, residentBytes } from "./cpu-clock.ts";

it("counts the CPU of a process with its children and threads, and of those that have ended", async () => {
  // A shell whose child burns CPU in a worker thread, says so, and ends.
  const burn = `new (require("worker_threads").Worker)("const end = Date.now() + 300; while (Date.now() < end);", { eval: true })`;
  const shell = spawn("sh", ["-c", `"$0" -e '${burn}'; echo burnt; read line`, process.execPath]);
  const before = machineBusyMs();
  await once(shell.stdout, "data");
  const used = cpuMs([shell.pid!]);
  expect(processTree([shell.pid!])).toEqual([shell.pid]);
  expect(residentBytes(shell.pid!)).toBeGreaterThan(0);
  shell.stdin.end("\n");
  await once(shell, "exit");
  // It had the core for some of its 300 ms, however busy the machine is; the machine's own clock saw that, too.
  expect(used).toBeGreaterThan(20);
  expect(machineBusyMs() - before).toBeGreaterThan(20);
  expect(cpuMs([shell.pid!])).toBe(0);
});
