/** Counters under vLLM's names, and their text for Prometheus. */
import type { Engine } from "./engine.ts";

/** Seconds; the buckets of vLLM's latency histograms, thinned. */
const BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
];

type Histogram = { counts: number[]; count: number; sum: number };

export type Metrics = {
  promptTokens: number;
  generationTokens: number;
  cacheQueries: number;
  cacheHits: number;
  /** Finished requests by vLLM's reasons; aborted ones are in none of them, as in vLLM. */
  success: { stop: number; length: number };
  timeToFirstToken: Histogram;
  queueTime: Histogram;
  requestTime: Histogram;
  /** HTTP answers by status. */
  statuses: Map<number, number>;
};

export function createMetrics(): Metrics {
  const histogram = (): Histogram => ({ counts: BUCKETS.map(() => 0), count: 0, sum: 0 });
  return {
    promptTokens: 0,
    generationTokens: 0,
    cacheQueries: 0,
    cacheHits: 0,
    success: { stop: 0, length: 0 },
    timeToFirstToken: histogram(),
    queueTime: histogram(),
    requestTime: histogram(),
    statuses: new Map(),
  };
}

export function observe(histogram: Histogram, seconds: number): void {
  histogram.count++;
  histogram.sum += seconds;
  const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
  if (bucket >= 0) histogram.counts[bucket]!++;
}

/** The answer to GET /metrics, in the text format of Prometheus. */
export function renderMetrics(engine: Engine): string {
  const { metrics, scheduler, options, cache } = engine;
  const labels = `engine="0",model_name="${options.models[0]}"`;
  const lines: string[] = [];
  const family = (
    name: string,
    type: string,
    help: string,
    samples: readonly [labels: string, value: number][],
  ): void => {
    lines.push(`# HELP vllm:${name} ${help}`, `# TYPE vllm:${name} ${type}`);
    for (const [extra, value] of samples) lines.push(`vllm:${name}{${extra}} ${float(value)}`);
  };
  const one = (name: string, type: string, help: string, value: number): void =>
    family(name, type, help, [[labels, value]]);
  const histogram = (name: string, help: string, { counts, count, sum }: Histogram): void => {
    lines.push(`# HELP vllm:${name} ${help}`, `# TYPE vllm:${name} histogram`);
    let below = 0;
    for (const [index, bound] of BUCKETS.entries()) {
      below += counts[index] ?? 0;
      lines.push(`vllm:${name}_bucket{${labels.replace(",", `,le="${float(bound)}",`)}} ${float(below)}`);
    }
    lines.push(`vllm:${name}_bucket{${labels.replace(",", `,le="+Inf",`)}} ${float(count)}`);
    lines.push(`vllm:${name}_count{${labels}} ${float(count)}`, `vllm:${name}_sum{${labels}} ${float(sum)}`);
  };

  one("num_requests_running", "gauge", "Number of requests in model execution batches.", scheduler.running);
  one("num_requests_waiting", "gauge", "Number of requests waiting to be processed.", scheduler.waiting);
  one("kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.", cache.size / options.kvBlocks);
  one(
    "prefix_cache_queries_total",
    "counter",
    "Prefix cache queries, in terms of number of queried tokens.",
    metrics.cacheQueries,
  );
  one(
    "prefix_cache_hits_total",
    "counter",
    "Prefix cache hits, in terms of number of cached tokens.",
    metrics.cacheHits,
  );
  one("prompt_tokens_total", "counter", "Number of prefill tokens processed.", metrics.promptTokens);
  one("prompt_tokens_cached_total", "counter", "Number of cached prompt tokens (local + external).", metrics.cacheHits);
  one("generation_tokens_total", "counter", "Number of generation tokens processed.", metrics.generationTokens);
  const reasons = { ...metrics.success, abort: 0, error: 0 };
  family(
    "request_success_total",
    "counter",
    "Count of successfully processed requests.",
    Object.entries(reasons).map(([reason, count]) => [labels.replace(",", `,finished_reason="${reason}",`), count]),
  );
  histogram("time_to_first_token_seconds", "Histogram of time to first token in seconds.", metrics.timeToFirstToken);
  histogram("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", metrics.queueTime);
  histogram("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", metrics.requestTime);
  const prefix = options.prefixCaching ? "True" : "False";
  const cacheLabels = `block_size="${options.blockSize}",enable_prefix_caching="${prefix}",engine="0",num_gpu_blocks="${options.kvBlocks}"`;
  family("cache_config_info", "gauge", "Information of the LLMEngine CacheConfig", [[cacheLabels, 1]]);
  lines.push("# HELP http_requests_total Total number of requests by status.", "# TYPE http_requests_total counter");
  for (const [status, count] of metrics.statuses) lines.push(`http_requests_total{status="${status}"} ${float(count)}`);
  return `${lines.join("\n")}\n`;
}

/** Numbers as Python's client writes them. */
function float(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
