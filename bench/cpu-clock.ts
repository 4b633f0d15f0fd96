/** Reads the kernel's clocks of CPU time and memory: of whole process trees with all their threads, and of the machine. */
import { readFileSync, readdirSync } from "node:fs";

/** Linux counts CPU time in /proc/PID/stat and /proc/stat in ticks of 10 ms. */
const TICK_MS = 10;
const PAGE_BYTES = 4_096;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // the process or thread has ended
  }
}

/** The fields of /proc/PID/stat after the name, which may hold spaces: index 0 is field 3 of proc(5). */
function statFields(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The processes and all their descendants that live now. */
export function processTree(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? statFields(pid)?.[1] : undefined;
    if (parent === undefined) continue;
    const siblings = children.get(Number(parent));
    if (siblings === undefined) children.set(Number(parent), [pid]);
    else siblings.push(pid);
  }
  const found = new Set<number>();
  const visit = (pid: number) => {
    if (found.has(pid)) return;
    found.add(pid);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  for (const root of roots) visit(root);
  return [...found];
}

/**
 * Milliseconds of CPU that the trees have used so far: every thread by the scheduler's own account in nanoseconds
 * (/proc/PID/task/TID/schedstat), and children that have ended by the ticks that their parent got from them.
 */
export function cpuMs(roots: readonly number[]): number {
  let total = 0;
  for (const pid of processTree(roots)) {
    const ended = statFields(pid);
    if (ended !== undefined) total += (Number(ended[13]) + Number(ended[14])) * TICK_MS;
    for (const thread of threads(pid)) {
      const schedstat = read(`/proc/${pid}/task/${thread}/schedstat`);
      if (schedstat !== undefined) total += Number.parseInt(schedstat, 10) / 1e6;
    }
  }
  return total;
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Resident memory of one process, in bytes. */
export function residentBytes(pid: number): number {
  return Number(read(`/proc/${pid}/statm`)?.split(" ")[1] ?? 0) * PAGE_BYTES;
}

/** Milliseconds in which the machine's cores were busy, for anybody, since it started; time stolen by its host counts. */
export function machineBusyMs(): number {
  const [user, nice, system, , , irq, softirq, steal] = read("/proc/stat")!
    .split("\n", 1)[0]!
    .split(/ +/)
    .slice(1)
    .map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) * TICK_MS;
}
