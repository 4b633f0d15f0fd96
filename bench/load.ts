/**
 * The loader of the bench: keeps so many clients busy on one target and checks every answer.
 *
 *   node bench/load.ts '{"workload": "W1", "wire": "anthropic", "url": …, "key": …}'
 *
 * Prints "ready" once it has warmed up, begins on a line on stdin, prints one line of JSON when the last
 * answer is in.
 */
import { once } from "node:events";
import { client } from "./load-client.ts";
import type { LoadOptions, LoadResult } from "./load-result.ts";
import { percentile } from "./statistics.ts";
import { WORKLOADS } from "./workloads.ts";

const options = JSON.parse(process.argv[2] ?? "") as LoadOptions;
const workload = WORKLOADS.find((each) => each.name === options.workload);
if (workload === undefined) throw new Error(`there is no workload ${options.workload}`);

let sent = 0;
const nextNumber = () => sent++;
const clients = Array.from({ length: workload.clients }, () => client(options, workload, nextNumber));

const warmUp = Math.ceil(workload.warmUp / clients.length);
for (let round = 0; round < warmUp; round++) {
  await Promise.all(clients.map((each) => each.request()));
  const [wrong] = clients.flatMap((each) => each.errors);
  if (wrong !== undefined) throw new Error(`the target does not answer as it should: ${wrong}`);
}
for (const each of clients) each.reset();

console.log("ready");
await once(process.stdin, "data");

const cpu = process.cpuUsage();
const started = performance.now();
let begun = 0;
await Promise.all(
  clients.map(async (each, index) => {
    if (workload.rampMs > 0) {
      const wait = (workload.rampMs * index) / clients.length;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    while (performance.now() - started < workload.durationMs && begun < workload.requests) {
      begun++;
      await each.request();
    }
  }),
);
const elapsedMs = performance.now() - started;
const used = process.cpuUsage(cpu);

const errors: Record<string, number> = {};
for (const error of clients.flatMap((each) => each.errors)) errors[error] = (errors[error] ?? 0) + 1;
const firsts = clients.flatMap((each) => each.firstMs).sort((a, b) => a - b);
const totals = clients.flatMap((each) => each.totalMs).sort((a, b) => a - b);
const lags = Float64Array.from(clients.flatMap((each) => each.lagsMs)).sort();
const result: LoadResult = {
  requests: totals.length,
  chunks: clients.reduce((sum, each) => sum + each.chunks, 0),
  errors,
  elapsedMs,
  firstMs: { p50: percentile(firsts, 0.5), p99: percentile(firsts, 0.99) },
  totalMs: { p50: percentile(totals, 0.5), p99: percentile(totals, 0.99) },
  lagMs: { p50: percentile(lags, 0.5), p99: percentile(lags, 0.99) },
  cpuMs: (used.user + used.system) / 1_000,
};
console.log(JSON.stringify(result));
// Stays until it is ended, so that its CPU can still be read; or until whoever started it has ended.
process.stdin.on("end", () => process.exit());
