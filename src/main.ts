/** The command line's entry: registers the subcommands of commands/ and turns failures into one line and an exit code. */
import { Command, CommanderError } from "commander";
import { CliError } from "./commands/cli-error.ts";
import { outliveLostOutput } from "./commands/lost-output.ts";
import { refuseInOneLine } from "./commands/usage-error.ts";
import { VERSION } from "./commands/version.ts";
import { enlargeYoungGeneration } from "./commands/young-generation.ts";

/** In the order of `--help`. Each is loaded when it is called: what `up` needs takes longer to load than most commands to run. */
const COMMANDS: Readonly<Record<string, () => Promise<{ register(program: Command): void }>>> = {
  up: () => import("./commands/up.ts"),
  serve: () => import("./commands/serve.ts"),
  claude: () => import("./commands/claude.ts"),
  doctor: () => import("./commands/doctor.ts"),
  tenant: () => import("./commands/tenant.ts"),
  key: () => import("./commands/key.ts"),
  price: () => import("./commands/price.ts"),
  budget: () => import("./commands/budget.ts"),
  usage: () => import("./commands/usage.ts"),
  sessions: () => import("./commands/sessions.ts"),
  invoice: () => import("./commands/invoice.ts"),
  ledger: () => import("./commands/ledger.ts"),
  "admin-key": () => import("./commands/admin-key.ts"),
  simulate: () => import("./commands/simulate.ts"),
};

outliveLostOutput();
if (process.argv[2] === "up" || process.argv[2] === "serve") enlargeYoungGeneration();

const program = new Command("evener")
  .description("Keep the harness, swap the brain: coding agents on your own models, shared, metered and billed.")
  .version(VERSION, "-v, --version", "print the version")
  .helpOption("-h, --help", "show help")
  .enablePositionalOptions()
  .exitOverride();

for (const load of wanted(process.argv[2])) (await load()).register(program);
refuseInOneLine(program);
try {
  await program.parseAsync();
} catch (thrown) {
  process.exitCode = exitCodeOf(thrown);
}

/** The command that is called; all of them for help, and to say which there are. The program's own options take no values. */
function wanted(first: string | undefined): (() => Promise<{ register(program: Command): void }>)[] {
  if (first === "-v" || first === "--version") return [];
  const called = first === undefined || !Object.hasOwn(COMMANDS, first) ? undefined : COMMANDS[first];
  return called === undefined ? Object.values(COMMANDS) : [called];
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
