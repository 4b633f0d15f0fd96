/** What the gateway metered, as `evener usage` tells scripts. */
import type { RunningEvener } from "../../support/evener.ts";

export type UsageRow = {
  request_id: string;
  session: string | null;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  counted_by: string;
  outcome: string;
  /** Exact, as in "0.0008448". */
  cost_usd: string;
};

/** All requests so far, oldest first. */
export async function usageRows(evener: RunningEvener): Promise<UsageRow[]> {
  const { code, stdout, stderr } = await evener.cli(["usage", "--by", "request", "--json"]);
  if (code !== 0) throw new Error(`evener usage failed: ${stderr}`);
  return JSON.parse(stdout) as UsageRow[];
}

/** The prompt as the engine counts it: every class of input together. */
export function promptTokens(row: Pick<UsageRow, "input_uncached" | "cache_read" | "cache_write">): number {
  return row.input_uncached + row.cache_read + row.cache_write;
}
