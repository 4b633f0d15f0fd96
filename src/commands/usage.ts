/** `evener usage`: what was used, by tenant, key, model, session, agent, day, or request by request. */
import { type Command, Option } from "commander";
import { z } from "zod";
import { csv } from "../ledger/csv.ts";
import { formatUsd, parseUsd, perMillion } from "../ledger/money.ts";
import { type AdminClient, adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { parseTime } from "./time-option.ts";
import { type Cell, type Column, renderTable } from "./table.ts";

/** What a row of each grouping is told apart by. */
const NAMES = {
  tenant: ["tenant"],
  // Many keys are named "default".
  key: ["tenant", "key", "key_id"],
  model: ["model"],
  session: ["tenant", "session"],
  agent: ["tenant", "session", "agent"],
  day: ["day"],
  engine: ["engine"],
} as const;
type Grouping = keyof typeof NAMES;
const GROUPINGS = Object.keys(NAMES) as Grouping[];

const SUMS = ["requests", "not_ok", "input_uncached", "cache_read", "cache_write", "output", "reasoning"] as const;
const SUM_TITLES = ["REQUESTS", "NOT OK", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "REASONING"];

/** Columns of money, in USD; those that nobody has are left out of the table. */
const MONEY = {
  cost_usd: "COST",
  cache_saved_usd: "SAVED BY CACHE",
  made_usd: "COST TO MAKE",
  sold_per_million_usd: "SOLD / M",
  made_per_million_usd: "MADE / M",
} as const;
type Money = keyof typeof MONEY;

const Groups = z.object({ data: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))) });
const Requests = z.object({
  data: z.array(
    z.object({
      request_id: z.string(),
      tenant: z.string(),
      key: z.string(),
      model: z.string(),
      session: z.string().nullable(),
      agent: z.string().nullable(),
      input_uncached: z.int(),
      cache_read: z.int(),
      cache_write: z.int(),
      output: z.int(),
      reasoning: z.int(),
      counted_by: z.string(),
      outcome: z.string(),
      started_at: z.string(),
      first_token_ms: z.int().nullable(),
      duration_ms: z.int(),
      cost_usd: z.string(),
      repeat_of: z.string().nullable(),
      error_code: z.string().nullable(),
      cut_by: z.string().nullable(),
      unbilled_prompt: z.int(),
      unbilled_output: z.int(),
    }),
  ),
  next: z.string().nullable(),
});
type Request = z.infer<typeof Requests>["data"][number];

type Options = { tenant?: string; since?: Date; until?: Date; by: Grouping | "request"; json?: true; csv?: true };

export function register(program: Command): void {
  const time = (text: string): Date => parseTime(text);
  program
    .command("usage")
    .description("show what was used; requests count when they were admitted, days are UTC")
    .option("--tenant <name>", "only this tenant's")
    .option("--since <time>", "from then on: 2026-11-01, 2026-11-01T09:00Z, 24h, 7d", time)
    .option("--until <time>", "up to then, not including it", time)
    .addOption(new Option("--by <what>", "one line for each").choices([...GROUPINGS, "request"]).default("tenant"))
    .option("--json", "print JSON")
    .option("--csv", "print CSV")
    .action(async (options: Options) => {
      if (options.json && options.csv) throw new CliError("--json and --csv exclude each other; give one of them", 2);
      if (options.since !== undefined && options.until !== undefined && options.since >= options.until)
        throw new CliError("--until is not after --since; give a later one, or leave it out", 2);
      const filter = {
        by: options.by,
        tenant: options.tenant,
        since: options.since?.toISOString(),
        until: options.until?.toISOString(),
      };
      if (options.by === "request")
        return showRequests(await everyRequest(adminClient({ patient: true }), filter), options);
      const { data } = await adminClient({ patient: true }).get("/usage", Groups, filter);
      showGroups(data, options.by, options);
    });
}

/** The gateway gives requests a page at a time; the pages are one answer. */
async function everyRequest(client: AdminClient, filter: Record<string, string | undefined>): Promise<Request[]> {
  const rows: Request[] = [];
  let after: string | undefined;
  do {
    const page = await client.get("/usage", Requests, { ...filter, limit: "5000", after });
    for (const row of page.data) rows.push(row);
    after = page.next ?? undefined;
  } while (after !== undefined);
  return rows;
}

const REQUEST_COLUMNS: readonly (Column & { value: (row: Request) => Cell; summed?: true })[] = [
  { title: "STARTED (UTC)", value: (row) => row.started_at.slice(0, 19).replace("T", " ") },
  { title: "TENANT", most: 24, value: (row) => row.tenant },
  { title: "KEY", most: 16, spare: 5, value: (row) => row.key },
  { title: "MODEL", most: 32, spare: 7, value: (row) => row.model },
  { title: "SESSION", most: 12, spare: 3, value: (row) => row.session },
  { title: "INPUT", value: (row) => row.input_uncached, summed: true },
  { title: "CACHE READ", value: (row) => row.cache_read, summed: true },
  { title: "CACHE WRITE", spare: 2, value: (row) => row.cache_write, summed: true },
  { title: "OUTPUT", value: (row) => row.output, summed: true },
  { title: "COST USD", align: "right", value: (row) => row.cost_usd },
  { title: "FIRST ms", spare: 4, value: (row) => row.first_token_ms },
  { title: "TOTAL ms", spare: 6, value: (row) => row.duration_ms },
  { title: "OUTCOME", most: 60, value: outcomeOf },
  { title: "COUNTED BY", spare: 1, value: (row) => row.counted_by },
];

/** How it ended and why: `ok, cut by tenant month budget`, `error: budget_exceeded, sent again`. */
function outcomeOf({ outcome, error_code, cut_by, repeat_of }: Request): string {
  const ended = error_code === null ? outcome : `${outcome}: ${error_code}`;
  return `${ended}${cut_by === null ? "" : `, cut by ${cut_by}`}${repeat_of === null ? "" : ", sent again"}`;
}

function showRequests(rows: Request[], { json, csv: asCsv }: Options): void {
  if (json) return printJson(rows);
  if (asCsv) return printCsv(rows, REQUEST_FIELDS);
  if (rows.length === 0) return print(NOTHING);
  const totals = REQUEST_COLUMNS.map(({ title, value, summed }, index) => {
    if (index === 0) return rows.length === 1 ? "1 request" : `${rows.length.toLocaleString("en-US")} requests`;
    if (title === "COST USD") return sumUsd(rows.map((row) => row.cost_usd));
    return summed ? rows.reduce((sum, row) => sum + Number(value(row)), 0) : "";
  });
  const cells = rows.map((row) => REQUEST_COLUMNS.map(({ value }) => value(row)));
  print(renderTable({ columns: REQUEST_COLUMNS, rows: cells, totals }));
}

function showGroups(rows: Record<string, Cell>[], by: Grouping, { json, csv: asCsv }: Options): void {
  if (json) return printJson(rows);
  if (asCsv) return printCsv(rows, [...NAMES[by], ...SUMS, ...(Object.keys(MONEY) as Money[])]);
  if (rows.length === 0) return print(NOTHING);
  const names = NAMES[by];
  const money = (Object.keys(MONEY) as Money[]).filter((name) => rows.some((row) => Number(row[name] ?? 0) !== 0));
  print(
    renderTable({
      columns: [
        ...names.map((name) => ({ title: name.toUpperCase().replace("_", " "), most: 40 })),
        ...SUM_TITLES.map((title) => column(title)),
        ...money.map((name) => column(`${MONEY[name]} USD`, "right")),
      ],
      rows: rows.map((row) => [...names, ...SUMS, ...money].map((name) => row[name] ?? null)),
      totals: [
        ...names.map((_name, index) => (index === 0 ? "total" : "")),
        ...SUMS.map((name) => total(rows, name)),
        ...money.map((name) => moneyTotal(rows, name)),
      ],
    }),
  );
}

/** What goes first where the terminal is narrow. */
const SPARE: Readonly<Record<string, number>> = {
  REASONING: 1,
  "CACHE WRITE": 2,
  "SOLD / M USD": 3,
  "MADE / M USD": 4,
  "NOT OK": 5,
  "SAVED BY CACHE USD": 6,
};

function column(title: string, align?: "right"): Column {
  const spare = SPARE[title];
  return { title, ...(align !== undefined && { align }), ...(spare !== undefined && { spare }) };
}

/** A rate of the whole is not the sum of rates. */
function moneyTotal(rows: readonly Record<string, Cell>[], name: Money): string {
  if (name === "sold_per_million_usd")
    return rate(rows, "cost_usd", ["input_uncached", "cache_read", "cache_write", "output"]);
  if (name === "made_per_million_usd") return rate(rows, "made_usd", ["made_tokens"]);
  return sumUsd(rows.map((row) => String(row[name] ?? "0")));
}

function rate(rows: readonly Record<string, Cell>[], name: "cost_usd" | "made_usd", counts: readonly string[]): string {
  const tokens = BigInt(counts.reduce((sum, count) => sum + total(rows, count), 0));
  const nano = parseUsd(sumUsd(rows.map((row) => String(row[name] ?? "0"))));
  const whole = perMillion(nano, tokens);
  return whole === undefined ? "" : formatUsd(whole);
}

/** Exact: amounts are decimal text, and never floats. */
function sumUsd(amounts: readonly string[]): string {
  return formatUsd(amounts.reduce((sum, amount) => sum + parseUsd(amount), 0n));
}

const REQUEST_FIELDS = Object.keys(Requests.shape.data.element.shape);

function printCsv(rows: readonly Record<string, Cell>[], fields: readonly string[]): void {
  process.stdout.write(csv([fields, ...rows.map((row) => fields.map((field) => row[field] ?? null))]));
}

const NOTHING = "No usage in that time.";

function total(rows: readonly Record<string, Cell>[], name: string): number {
  return rows.reduce((sum, row) => sum + Number(row[name] ?? 0), 0);
}
