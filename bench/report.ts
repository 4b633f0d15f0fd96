/** Turns measurements into the table: medians over repetitions, ratios to going direct, and the marks that must hold. */
import type { Measurement } from "./measure.ts";
import { median } from "./statistics.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

/** What is judged in a workload, in the unit of its mark. */
type Judged = "CPU ms a request" | "CPU µs a chunk" | "added ms to the first token" | "% of a core";

const JUDGED: Record<string, Judged> = {
  W1: "CPU ms a request",
  W2: "CPU ms a request",
  W3: "CPU µs a chunk",
  W4: "added ms to the first token",
  W5: "% of a core",
};

/** The marks: the gateway on the Anthropic wire must not need more. `bench/README.md` says where they come from. */
const MARKS: Record<string, number> = { W1: 0.2, W2: 2.5, W3: 26, W4: 1, W5: 35 };

export type Row = {
  workload: string;
  target: string;
  cpuMsPerRequest: number;
  databaseCpuMsPerRequest: number;
  cpuMicrosecondsPerChunk: number;
  /** Share of one core in the measured window, in percent. */
  corePercent: number;
  requestsPerSecond: number;
  /** Requests a second as a share of going direct, and what the gateway adds to the times of an answer. */
  requestsToDirect: number;
  firstMs: number;
  addedFirstMs: number;
  lagMs: number;
  lagP99Ms: number;
  residentMb: number;
  requests: number;
  errors: number;
  otherCores: number;
  judged: string;
  mark: number | undefined;
  value: number;
};

export function rows(measurements: readonly Measurement[], direct: string): Row[] {
  const out: Row[] = [];
  for (const workload of WORKLOADS) {
    const here = measurements.filter((each) => each.workload === workload.name);
    const base = here.filter((each) => each.target === direct);
    for (const target of new Set(here.map((each) => each.target))) {
      out.push(
        row(
          workload,
          target,
          here.filter((each) => each.target === target),
          base,
        ),
      );
    }
  }
  return out;
}

function row(workload: Workload, target: string, runs: readonly Measurement[], direct: readonly Measurement[]): Row {
  const of = (value: (run: Measurement) => number, from = runs) => median(from.map(value));
  const cpuMsPerRequest = of((run) => run.targetCpuMs / run.requests);
  const rate = (run: Measurement) => (run.requests * 1_000) / run.elapsedMs;
  const addedFirstMs = of((run) => run.firstMs.p50 ?? Number.NaN) - of((run) => run.firstMs.p50 ?? Number.NaN, direct);
  const figures = {
    "CPU ms a request": cpuMsPerRequest,
    "CPU µs a chunk": (cpuMsPerRequest * 1_000) / workload.chunks,
    "added ms to the first token": addedFirstMs,
    "% of a core": of((run) => (run.targetCpuMs / run.windowMs) * 100),
  };
  const judged = JUDGED[workload.name]!;
  return {
    workload: workload.name,
    target,
    cpuMsPerRequest,
    databaseCpuMsPerRequest: of((run) => run.databaseCpuMs / run.requests),
    cpuMicrosecondsPerChunk: figures["CPU µs a chunk"],
    corePercent: figures["% of a core"],
    requestsPerSecond: of(rate),
    requestsToDirect: of(rate) / of(rate, direct),
    firstMs: of((run) => run.firstMs.p50 ?? Number.NaN),
    addedFirstMs,
    lagMs: of((run) => run.lagMs.p50 ?? Number.NaN),
    lagP99Ms: of((run) => run.lagMs.p99 ?? Number.NaN),
    residentMb: Math.max(...runs.map((run) => run.residentPeakBytes)) / 1e6,
    requests: runs.reduce((sum, run) => sum + run.requests, 0),
    errors: runs.reduce((sum, run) => sum + Object.values(run.errors).reduce((all, count) => all + count, 0), 0),
    otherCores: Math.max(...runs.map((run) => run.otherCores)),
    judged,
    mark: MARKS[workload.name],
    value: figures[judged],
  };
}

const COLUMNS: readonly [title: string, cell: (row: Row) => string][] = [
  ["load", (row) => row.workload],
  ["target", (row) => row.target],
  ["judged by", (row) => `${round(row.value)} ${row.judged}`],
  ["CPU ms/request", (row) => round(row.cpuMsPerRequest)],
  ["of it database", (row) => round(row.databaseCpuMsPerRequest)],
  ["CPU µs/chunk", (row) => round(row.cpuMicrosecondsPerChunk)],
  ["core %", (row) => round(row.corePercent)],
  ["requests/s", (row) => round(row.requestsPerSecond)],
  ["× direct", (row) => round(row.requestsToDirect)],
  ["first token ms", (row) => round(row.firstMs)],
  ["+ direct", (row) => round(row.addedFirstMs)],
  ["lag ms p50/p99", (row) => `${round(row.lagMs)}/${round(row.lagP99Ms)}`],
  ["RSS MB", (row) => row.residentMb.toFixed(0)],
  ["answers/errors", (row) => `${row.requests}/${row.errors}`],
  ["other cores", (row) => row.otherCores.toFixed(2)],
];

function round(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

export function table(all: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const head = COLUMNS.map(([title]) => title);
  return [
    line(head),
    line(head.map(() => "---")),
    ...all.map((row) => line(COLUMNS.map(([, cell]) => cell(row)))),
  ].join("\n");
}
