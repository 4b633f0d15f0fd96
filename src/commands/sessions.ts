/** `evener sessions show ID`: how one session went, and whether its prompts stayed in the prefix cache. */
import type { Command } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const Request = z.object({
  request_id: z.string(),
  started_at: z.string(),
  input_uncached: z.int(),
  cache_read: z.int(),
  cache_write: z.int(),
  output: z.int(),
  cache_hit: z.number().nullable(),
  prefix_break: z.string().nullable(),
  outcome: z.string(),
  finish_reason: z.string().nullable(),
  error_code: z.string().nullable(),
  cut_by: z.string().nullable(),
  repeat_of: z.string().nullable(),
  first_token_ms: z.int().nullable(),
  cost_usd: z.string(),
});
const Session = z.object({
  session: z.string(),
  tenant: z.string(),
  requests: z.int(),
  prefix_breaks: z.int(),
  cache_hit: z.number().nullable(),
  cost_usd: z.string(),
  threads: z.array(z.object({ agent: z.string().nullable(), model: z.string(), requests: z.array(Request.loose()) })),
});

export function register(program: Command): void {
  program
    .command("sessions")
    .description("look into clients' sessions")
    .command("show")
    .description("show a session's requests, its subagents apart, and where its prompts left the prefix cache")
    .argument("<id>", "the client's session id, as in: evener usage --by session")
    .option("--tenant <name>", "whose, where several tenants have that id; its name or id")
    .option("--json", "print JSON")
    .action(async (id: string, options: { tenant?: string; json?: true }) => {
      const path = `/sessions/${encodeURIComponent(id)}`;
      const session = await adminClient().get(path, Session.loose(), { tenant: options.tenant });
      if (options.json) return printJson(session);
      print(describe(session));
    });
}

function describe(session: z.infer<typeof Session>): string {
  const { requests, prefix_breaks: breaks } = session;
  const head = [
    `Session ${printable(session.session)} of ${printable(session.tenant)}: ${count(requests, "request")},`,
    `${percent(session.cache_hit)} of the prompts from cache, ${count(breaks, "prefix break")}, USD ${session.cost_usd}`,
  ].join(" ");
  const threads = session.threads.map(({ agent, model, requests: rows }) => {
    const title = agent === null ? "Main loop" : `Subagent ${printable(agent)}`;
    return `\n${title}, ${printable(model)}\n${requestsTable(rows)}`;
  });
  return [head, ...threads].join("\n");
}

function requestsTable(rows: readonly z.infer<typeof Request>[]): string {
  return renderTable({
    columns: [
      { title: "#" },
      { title: "STARTED (UTC)" },
      { title: "PROMPT" },
      { title: "CACHED", align: "right" },
      { title: "" },
      { title: "OUTPUT" },
      { title: "FIRST ms" },
      { title: "OUTCOME", most: 40 },
      { title: "PREFIX", most: 70 },
    ],
    rows: rows.map((row, index) => [
      index + 1,
      row.started_at.slice(0, 19).replace("T", " "),
      row.input_uncached + row.cache_read + row.cache_write,
      percent(row.cache_hit),
      bar(row.cache_hit),
      row.output,
      row.first_token_ms,
      outcome(row),
      row.prefix_break === null ? "" : `broken: ${row.prefix_break}`,
    ]),
  });
}

function outcome(row: z.infer<typeof Request>): string {
  const why = row.error_code ?? row.cut_by ?? row.finish_reason;
  const said = why === null || why === row.outcome ? row.outcome : `${row.outcome} (${why})`;
  return row.repeat_of === null ? said : `${said}, sent again`;
}

/** The curve over a session's requests, for the eye: ten steps. */
function bar(share: number | null): string {
  const full = Math.round((share ?? 0) * 10);
  return "█".repeat(full) + "░".repeat(10 - full);
}

function percent(share: number | null): string {
  return share === null ? "–" : `${(Math.floor(share * 1_000) / 10).toFixed(1)}%`;
}

function count(number: number, what: string): string {
  return `${number.toLocaleString("en-US")} ${what}${number === 1 ? "" : "s"}`;
}
