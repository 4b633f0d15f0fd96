/** `evener price set|list|history`: what tokens cost, in USD a million. */
import type { Command } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";
import { parseFutureTime } from "./time-option.ts";

const Price = z.object({
  id: z.string(),
  model: z.string(),
  valid_from: z.string(),
  input_usd: z.string(),
  cache_read_usd: z.string(),
  cache_write_usd: z.string(),
  output_usd: z.string(),
  created_at: z.string(),
  created_by: z.string(),
});
const Listed = z.object({ data: z.array(Price) });
type Price = z.infer<typeof Price>;

type SetOptions = {
  input: string;
  cacheRead: string;
  output: string;
  cacheWrite?: string;
  from?: Date;
  json?: true;
};

export function register(program: Command): void {
  const price = program.command("price").description("set and show what tokens cost, in USD a million");

  price
    .command("set")
    .description("set a model's price from now or a later time on; requests that run keep theirs")
    .argument("<model>", "the served name")
    .requiredOption("--input <usd>", "a million prompt tokens that were not cached, as in 0.60")
    .requiredOption("--cache-read <usd>", "a million prompt tokens read from the prefix cache")
    .requiredOption("--output <usd>", "a million generated tokens, reasoning included")
    .option("--cache-write <usd>", "a million prompt tokens written to a cache that is paid for (as --input)")
    .option("--from <time>", "valid from then on: 2026-12-01, 2026-12-01T09:00Z", parseFutureTime)
    .option("--json", "print JSON")
    .action(async (model: string, options: SetOptions) => {
      const client = adminClient();
      const made = await client.post("/prices", Price, {
        model,
        input_usd: options.input,
        cache_read_usd: options.cacheRead,
        cache_write_usd: options.cacheWrite,
        output_usd: options.output,
        valid_from: options.from?.toISOString(),
      });
      if (options.json) return printJson(made);
      print(`From ${minute(made.valid_from)} UTC ${printable(made.model)} costs, in USD a million tokens:`);
      print(renderTable({ columns: PRICE_COLUMNS, rows: [prices(made)] }));
      const { data } = await client.get("/prices/history", Listed, { model: made.model });
      // The newest first: the last one beyond this is where this one ends.
      const next = data.findLast(({ valid_from }) => Date.parse(valid_from) > Date.parse(made.valid_from));
      if (next !== undefined) {
        print("");
        print(`Only until ${minute(next.valid_from)} UTC. From then on, as set before:`);
        print(renderTable({ columns: PRICE_COLUMNS, rows: [prices(next)] }));
      }
    });

  price
    .command("list")
    .description("show the prices that are valid now")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }) => {
      const { data } = await adminClient().get("/prices", Listed);
      if (options.json) return printJson(data);
      if (data.length === 0)
        return print("No prices yet: requests are metered and cost nothing. Set one with: evener price set MODEL …");
      print(pricesTable(data));
    });

  price
    .command("history")
    .description("show all prices that were or will be valid, the newest first")
    .argument("[model]", "only this model's")
    .option("--json", "print JSON")
    .action(async (model: string | undefined, options: { json?: true }) => {
      const { data } = await adminClient().get("/prices/history", Listed, { model });
      if (options.json) return printJson(data);
      if (data.length === 0)
        return print(model === undefined ? "No prices yet." : `There is no price for ${printable(model)}.`);
      print(pricesTable(data));
    });
}

const PRICE_COLUMNS = ["INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT"].map((title) => ({
  title,
  align: "right" as const,
}));

function prices(price: Price): string[] {
  return [price.input_usd, price.cache_read_usd, price.cache_write_usd, price.output_usd];
}

function pricesTable(data: readonly Price[]): string {
  return renderTable({
    columns: [
      { title: "MODEL", most: 48 },
      ...PRICE_COLUMNS,
      { title: "VALID FROM (UTC)" },
      { title: "SET BY", spare: 1 },
    ],
    rows: data.map((price) => [price.model, ...prices(price), minute(price.valid_from), price.created_by]),
  });
}

function minute(time: string): string {
  return time.slice(0, 16).replace("T", " ");
}
