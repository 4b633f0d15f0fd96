/** Reads usage rows as scripts do: `evener usage --by request --json`. */
import type { RunningEvener } from "./evener.ts";
import { send } from "./http.ts";

/** A row, whole. */
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
  /** Exact, as in "0.0008448". */
  cost_usd: string;
  repeat_of: string | null;
  error_code: string | null;
  /** Which limit ended the answer. */
  cut_by: string | null;
  /** Counted beyond a limit, and not billed. */
  unbilled_prompt: number;
  unbilled_output: number;
};

export async function usageRows(evener: Pick<RunningEvener, "cli">): Promise<UsageRow[]> {
  const { code, stdout, stderr } = await evener.cli(["usage", "--by", "request", "--json"]);
  if (code !== 0) throw new Error(`evener usage ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as UsageRow[];
}

/** The same rows straight from the admin API, for tests that look again and again: a command takes half a second to start. */
export async function usageRowsNow(evener: Pick<RunningEvener, "url" | "adminKey">): Promise<UsageRow[]> {
  const { status, text } = await send(`${evener.url}/admin/v1/usage?by=request`, {
    method: "GET",
    headers: { authorization: `Bearer ${evener.adminKey}` },
  });
  if (status !== 200) throw new Error(`the admin API answered ${status}: ${text}`);
  return (JSON.parse(text) as { data: UsageRow[] }).data;
}

/** The prompt as the engine counts it: every class of input together. */
export function promptTokens(row: Pick<UsageRow, "input_uncached" | "cache_read" | "cache_write">): number {
  return row.input_uncached + row.cache_read + row.cache_write;
}

export function sum(
  rows: readonly UsageRow[],
  ...fields: ("input_uncached" | "cache_read" | "cache_write" | "output")[]
): number {
  return rows.reduce((total, row) => total + fields.reduce((part, field) => part + row[field], 0), 0);
}
