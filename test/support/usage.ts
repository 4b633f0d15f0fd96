/** Reads usage rows as scripts do: `evener usage --by request --json`. */
import type { RunningEvener } from "./evener.ts";

/** What the issue of this command promises of a row. */
export type UsageRow = {
  request_id: string;
  tenant: string;
  key: string;
  model: string;
  session: string | null;
  agent: string | null;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  counted_by: string;
  outcome: string;
  started_at: string;
  first_token_ms: number | null;
  duration_ms: number;
};

export async function usageRows(evener: Pick<RunningEvener, "cli">): Promise<UsageRow[]> {
  const { code, stdout, stderr } = await evener.cli(["usage", "--by", "request", "--json"]);
  if (code !== 0) throw new Error(`evener usage ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as UsageRow[];
}

export function sum(
  rows: readonly UsageRow[],
  ...fields: ("input_uncached" | "cache_read" | "cache_write" | "output")[]
): number {
  return rows.reduce((total, row) => total + fields.reduce((part, field) => part + row[field], 0), 0);
}
