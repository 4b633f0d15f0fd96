/** `evener budget set|list|remove`: how much a tenant or a key may spend a day, week or month. */
import { type Command, Option } from "commander";
import { z } from "zod";
import { percentSpent } from "../conversation/spend-cap.ts";
import { parseUsd } from "../ledger/money.ts";
import { adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const Budget = z.object({
  id: z.string(),
  tenant: z.string(),
  key: z.string().nullable(),
  key_id: z.string().nullable(),
  period: z.enum(["day", "week", "month"]),
  amount_usd: z.string(),
  spent_usd: z.string(),
  held_usd: z.string(),
  resets_at: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});
const Listed = z.object({ data: z.array(Budget) });

type SetOptions = { tenant?: string; key?: string; period: string; amount: string; json?: true };

export function register(program: Command): void {
  const budget = program
    .command("budget")
    .description("limit what tenants and keys spend; days, weeks (from Monday) and months are UTC");

  budget
    .command("set")
    .description("set a budget, or change it; it holds for the running period already")
    .option("--tenant <name>", "for all keys of this tenant together")
    .option("--key <id>", "for this key, as in key_…")
    .addOption(
      new Option("--period <period>", "what it is for").choices(["day", "week", "month"]).makeOptionMandatory(),
    )
    .requiredOption("--amount <usd>", "how much may be spent, as in 20 or 12.50")
    .option("--json", "print JSON")
    .action(async ({ tenant, key, period, amount, json }: SetOptions) => {
      if ((tenant === undefined) === (key === undefined))
        throw new CliError("whose budget? give either --tenant NAME or --key ID", 2);
      const made = await adminClient().post("/budgets", Budget, { tenant, key, period, amount_usd: amount });
      if (json) return printJson(made);
      print(
        `${owner(made)} may spend USD ${made.amount_usd} a ${made.period}; USD ${made.spent_usd} are spent until ${minute(made.resets_at)} UTC (${made.id}).`,
      );
    });

  budget
    .command("list")
    .description("show the budgets and what is spent of them")
    .option("--tenant <name>", "only this tenant's and its keys'")
    .option("--json", "print JSON")
    .action(async (options: { tenant?: string; json?: true }) => {
      const { data } = await adminClient().get("/budgets", Listed, { tenant: options.tenant });
      if (options.json) return printJson(data);
      if (data.length === 0)
        return print("No budgets. Set one with: evener budget set --tenant NAME --period month --amount USD");
      print(
        renderTable({
          columns: [
            { title: "TENANT" },
            { title: "KEY" },
            { title: "PERIOD" },
            { title: "AMOUNT USD", align: "right" },
            { title: "SPENT USD", align: "right" },
            { title: "HELD USD", align: "right", spare: 1 },
            { title: "USED", align: "right" },
            { title: "RESETS (UTC)" },
            { title: "ID" },
          ],
          rows: data.map((row) => [
            row.tenant,
            row.key_id === null ? "all" : `${row.key ?? ""} (${row.key_id})`,
            row.period,
            row.amount_usd,
            row.spent_usd,
            row.held_usd,
            percent(row),
            minute(row.resets_at),
            row.id,
          ]),
        }),
      );
    });

  budget
    .command("remove")
    .description("remove a budget; nothing but the balance limits what it limited")
    .argument("<id>", "the budget's id, as in bud_…")
    .option("--json", "print JSON")
    .action(async (id: string, options: { json?: true }) => {
      const removed = await adminClient().post(`/budgets/${encodeURIComponent(id)}/remove`, Budget, {});
      if (options.json) return printJson(removed);
      print(`Removed the ${removed.period} budget of ${owner(removed)} (${removed.id}).`);
    });
}

function owner({ tenant, key, key_id }: z.infer<typeof Budget>): string {
  return key_id === null ? `Tenant ${printable(tenant)}` : `Key ${printable(key ?? key_id)} of ${printable(tenant)}`;
}

function percent({ amount_usd, spent_usd }: z.infer<typeof Budget>): string {
  return `${percentSpent({ limit: parseUsd(amount_usd), spent: parseUsd(spent_usd) })}%`;
}

function minute(time: string): string {
  return time.slice(0, 16).replace("T", " ");
}
