/** `evener claude`: starts the real Claude Code on the gateway's models, or prints or writes what that takes. */
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { applyEnvironment, clientEnvironment } from "../launch/claude-code.ts";
import { conflictsIn } from "../launch/claude-code-conflicts.ts";
import {
  type Settings,
  environmentOf,
  parseSettings,
  settingsFiles,
  userSettingsPath,
  withEnvironment,
} from "../launch/claude-settings.ts";
import { findClaude, INSTALL_CLAUDE } from "../launch/find-claude.ts";
import { fetchGatewayFacts, GatewayUnusable } from "../launch/gateway-facts.ts";
import { type LaunchPlan, planLaunch } from "../launch/launch-plan.ts";
import { type Ended, endAs, runClient } from "../launch/run-client.ts";
import { sessionSettings } from "../launch/session-settings.ts";
import { shellLines } from "../launch/shell-lines.ts";
import { writeSettingsFile } from "../launch/write-settings-file.ts";
import { findClientAccess } from "./claude-gateway.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";

type Options = { model?: string; printEnv?: true; json?: true; settings?: string | true; help?: true };

export function register(program: Command): void {
  program
    .command("claude")
    .description("start Claude Code on the gateway's models; arguments are passed to it")
    .argument(
      "[args...]",
      "arguments for Claude Code; put them behind `--` when they start with one of the options below",
    )
    .option("--model <name>", "the model to start with: a served name, opus, sonnet or haiku")
    .option("--print-env", "print the environment as lines for `eval` instead of starting it")
    .option("--json", "with --print-env: print JSON")
    .option("--settings [file]", "write the environment into a settings file instead (its owner's by default)")
    // Commander's own help option would be found among the client's arguments as well.
    .helpOption(false)
    .option("-h, --help", "show this help; `-- --help` is Claude Code's")
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (args: string[], options: Options, command: Command) => {
      if (options.help) return command.outputHelp();
      if (options.json && !options.printEnv) throw new CliError("--json goes with --print-env", 2);
      const plan = await makePlan(options.model);
      if (options.printEnv) return printEnvironment(plan, options.json === true);
      if (options.settings !== undefined) return writeSettings(plan, options.settings);
      return start(plan, args);
    });
}

async function makePlan(model: string | undefined): Promise<LaunchPlan> {
  const { url, key } = findClientAccess(process.env);
  try {
    const facts = await fetchGatewayFacts(url, key);
    const plan = planLaunch(url, key, facts, { option: model, environment: process.env["ANTHROPIC_MODEL"] });
    if (plan !== undefined) return plan;
    const names = facts.models.map((served) => served.id).join(", ");
    throw new CliError(`no engine serves ${JSON.stringify(model)}; choose one of: ${names}`);
  } catch (error) {
    if (error instanceof GatewayUnusable) throw new CliError(error.message, 1, error);
    throw error;
  }
}

function printEnvironment(plan: LaunchPlan, json: boolean): void {
  const { set, remove } = clientEnvironment(plan, process.env);
  if (json) printJson({ set, unset: remove });
  else print(shellLines(set, remove));
}

function writeSettings(plan: LaunchPlan, file: string | true): void {
  const path = file === true ? userSettingsPath(homedir(), process.env) : resolve(file);
  const text = readIfThere(path);
  const settings = text === undefined || text.trim() === "" ? {} : parseSettings(text);
  if (settings === undefined) throw new CliError(`${path} is not valid JSON; mend it first, it was left as it is`);
  // In a settings file that file's own entries are what the user has set; the shell does not count there.
  const theirs = environmentOf(settings);
  const { set } = clientEnvironment(plan, theirs);
  writeSettingsFile(path, withEnvironment(settings, set));
  print(`Wrote ${Object.keys(set).length} variables to ${path} (mode 0600: one of them is the key).`);
  const conflicts = conflictsIn(theirs);
  if ("apiKeyHelper" in settings) conflicts.push("apiKeyHelper");
  if (conflicts.length > 0)
    warn(`${path} also has ${conflicts.join(", ")}; remove that, or Claude Code will not reach the gateway`);
}

async function start(plan: LaunchPlan, userArgs: string[]): Promise<void> {
  const binary = locate();
  const change = clientEnvironment(plan, process.env);
  if (change.remove.length > 0) warn(`your shell sets ${change.remove.join(", ")}; left out for this session`);

  const files = settingsFiles(process.cwd(), homedir(), process.env, process.platform);
  const session = sessionSettings(userArgs, change.set, files, readIfThere);
  const [managed] = session.insurmountable;
  if (managed !== undefined) {
    throw new CliError(
      `${managed.path} sets ${managed.names.join(", ")}, which nothing outranks; ask who manages this machine`,
    );
  }
  for (const { path, names } of session.overridden) {
    warn(`${path} sets ${names.join(", ")}; overridden for this session, the file stays as it is`);
  }
  const run = (settings: string[]): Promise<Ended> =>
    runClient(binary, [...settings, ...session.args], applyEnvironment(process.env, change)).catch(
      (error: NodeJS.ErrnoException) => {
        throw new CliError(`${binary} cannot be started (${error.code ?? error.message})`, 1, error);
      },
    );
  if (session.settings === undefined) return endAs(await run([]));
  if (!session.secret) return endAs(await run(["--settings", JSON.stringify(session.settings)]));
  return endAs(await withPrivateFile(session.settings, (path) => run(["--settings", path])));
}

function locate(): string {
  const binary = findClaude({
    environment: process.env,
    home: homedir(),
    cwd: process.cwd(),
    platform: process.platform,
    arch: process.arch,
    node: process.execPath,
    isExecutable,
  });
  if (binary !== undefined) return binary;
  const named = process.env["EVENER_CLAUDE_BIN"];
  throw new CliError(
    named
      ? `EVENER_CLAUDE_BIN is ${named}, which cannot be run; set it to the path of \`claude\``
      : `Claude Code is not installed; install it with: ${INSTALL_CLAUDE}`,
  );
}

/** The key must not stand on a command line, where every user of the machine can read it. */
async function withPrivateFile<T>(settings: Settings, use: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "evener-claude-"));
  try {
    const path = join(folder, "settings.json");
    writeSettingsFile(path, settings);
    return await use(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function warn(text: string): void {
  process.stderr.write(`evener: ${text}\n`);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new CliError(`${path} cannot be read (${code ?? "unknown"})`, 1, error);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
