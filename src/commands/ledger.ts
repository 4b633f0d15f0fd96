/** `evener ledger verify|rebuild|export`: whether the books are right, their roll-ups, and what other systems read of them. */
import type { Command } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { printable } from "./table.ts";
import { parseTime } from "./time-option.ts";

const Verification = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({
      name: z.string(),
      rule: z.string(),
      rows: z.array(z.record(z.string(), z.string().nullable())),
    }),
  ),
});
const Rebuilt = z.object({ days: z.int(), corrected: z.int() });

export function register(program: Command): void {
  const ledger = program.command("ledger").description("check, rebuild and export the books");

  ledger
    .command("verify")
    .description("recompute every rule of the ledger; exit code 1, and the rows, where one does not hold")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }) => {
      const verification = await adminClient({ patient: true }).get("/ledger/verify", Verification);
      if (options.json) printJson(verification);
      else print(describeChecks(verification));
      if (verification.ok) return;
      const broken = verification.checks.filter((check) => check.rows.length > 0).length;
      throw new CliError(
        `${broken} of ${verification.checks.length} rules of the ledger do not hold; see the rows above`,
      );
    });

  ledger
    .command("rebuild")
    .description("rebuild the sums by hour from the usage rows, day by day")
    .option("--since <time>", "only from then on: 2026-11-01, 7d", (text: string) => parseTime(text))
    .option("--json", "print JSON")
    .action(async (options: { since?: Date; json?: true }) => {
      const rebuilt = await adminClient({ patient: true }).post("/ledger/rebuild", Rebuilt, {
        since: options.since?.toISOString(),
      });
      if (options.json) return printJson(rebuilt);
      print(`Rebuilt ${rebuilt.days} day${rebuilt.days === 1 ? "" : "s"}; ${rebuilt.corrected} sums were not right.`);
    });

  ledger
    .command("export")
    .description("write a month's charges for other systems")
    .option("--focus", "as a FOCUS 1.2 CSV (the only form there is)")
    .requiredOption("--month <month>", "as in 2026-11")
    .action(async (options: { focus?: true; month: string }) => {
      if (!options.focus) throw new CliError("in which form? give --focus", 2);
      process.stdout.write(await adminClient({ patient: true }).text("/ledger/focus", { month: options.month }));
    });
}

function describeChecks({ ok, checks }: z.infer<typeof Verification>): string {
  const lines = checks.flatMap(({ rule, rows }) => [
    `${rows.length === 0 ? "ok  " : "FAIL"}  ${rule}`,
    ...rows.map(
      (row) =>
        `        ${Object.entries(row)
          .map(([name, value]) => `${name}=${printable(value ?? "null")}`)
          .join("  ")}`,
    ),
  ]);
  return [...lines, ok ? "The ledger is sound." : ""].join("\n");
}
