/** The command line's entry: registers the subcommands of commands/ and turns failures into one line and an exit code. */
import { Command, CommanderError } from "commander";
import { register as registerAdminKey } from "./commands/admin-key.ts";
import { register as registerBudget } from "./commands/budget.ts";
import { register as registerClaude } from "./commands/claude.ts";
import { CliError } from "./commands/cli-error.ts";
import { register as registerInvoice } from "./commands/invoice.ts";
import { register as registerKey } from "./commands/key.ts";
import { register as registerLedger } from "./commands/ledger.ts";
import { register as registerPrice } from "./commands/price.ts";
import { register as registerServe } from "./commands/serve.ts";
import { register as registerSessions } from "./commands/sessions.ts";
import { register as registerSimulate } from "./commands/simulate.ts";
import { register as registerTenant } from "./commands/tenant.ts";
import { register as registerUp } from "./commands/up.ts";
import { register as registerUsage } from "./commands/usage.ts";
import { VERSION } from "./commands/version.ts";

const program = new Command("evener")
  .description("Keep the harness, swap the brain: coding agents on your own models, shared, metered and billed.")
  .version(VERSION, "-v, --version", "print the version")
  .helpOption("-h, --help", "show help")
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "evener: ")) });

for (const register of [
  registerUp,
  registerServe,
  registerClaude,
  registerTenant,
  registerKey,
  registerPrice,
  registerBudget,
  registerUsage,
  registerSessions,
  registerInvoice,
  registerLedger,
  registerAdminKey,
  registerSimulate,
]) {
  register(program);
}
try {
  await program.parseAsync();
} catch (thrown) {
  process.exitCode = exitCodeOf(thrown);
}

function exitCodeOf(thrown: unknown): number {
  // Commander has printed its own; help and --version come this way too, with code 0.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
  if (thrown instanceof CliError) {
    process.stderr.write(`evener: ${thrown.message}\n`);
    return thrown.exitCode;
  }
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  process.stderr.write(`evener: unexpected failure, please report it: ${text}\n`);
  return 1;
}
