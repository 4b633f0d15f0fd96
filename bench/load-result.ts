/** What the loader is told, and what it tells. */
import type { Wire } from "./workloads.ts";

export type LoadOptions = { workload: string; wire: Wire; url: string; key: string };

/** Milliseconds; null where there was nothing to measure. */
type Spread = { p50: number | null; p99: number | null };

export type LoadResult = {
  /** Complete and correct answers, and the chunks in them. */
  requests: number;
  chunks: number;
  /** What was wrong with the others, and how often. */
  errors: Record<string, number>;
  elapsedMs: number;
  /** From the request to the first chunk of text, and to the end of the answer. */
  firstMs: Spread;
  totalMs: Spread;
  /** From the upstream's write of a chunk to its arrival here. */
  lagMs: Spread;
  /** CPU time of the loader. */
  cpuMs: number;
};
