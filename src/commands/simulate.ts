/** `evener simulate`: a simulated engine on a port of its own, for trying, tests and load. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type SimulatorOptions, TEMPLATES, type TemplateName } from "../simulator/options.ts";
import { BUILT_IN_SCRIPTS, loadScript, ScriptFileError } from "../simulator/script-file.ts";
import { type Simulator, startSimulator } from "../simulator/start.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { closeOnSignal } from "./signals.ts";

type Flags = {
  port: number;
  host: string;
  model: string;
  maxModelLen: number;
  maxNumSeqs: number;
  prefillSpeed: number;
  decodeSpeed: number;
  blockSize: number;
  script?: string;
  prefixCaching: boolean;
  tools: boolean;
  reasoning?: boolean;
  vision?: boolean;
  template: TemplateName;
  seed: number;
  json?: boolean;
};

export function register(program: Command): void {
  program
    .command("simulate")
    .description("run a simulated engine: it speaks as vLLM does, and answers from a script, not from a model")
    .option("--port <number>", "port to listen on; 0 takes any", whole(0, 65_535), 9100)
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--model <name>", "served model name", "simulated-model")
    .option("--max-model-len <tokens>", "context window", whole(16), 131_072)
    .option("--max-num-seqs <count>", "requests that run at once; the others wait", whole(1), 16)
    .option("--prefill-speed <tokens/s>", "uncached prompt tokens a second, of the engine; 0: no time", number, 0)
    .option("--decode-speed <tokens/s>", "tokens a second, of each sequence; 0: as fast as possible", number, 0)
    .option("--block-size <tokens>", "tokens a block of the prefix cache", whole(1), 16)
    .option("--script <file>", `answers: a YAML or JSON file, or one of: ${BUILT_IN_SCRIPTS.join(", ")}`)
    .option("--no-prefix-caching", "compute every prompt anew")
    .option("--no-tools", "have no tool-call parser")
    .option("--reasoning", "have a reasoning parser")
    .option("--vision", "accept images")
    .addOption(
      new Option("--template <name>", "how the chat template behaves").choices(TEMPLATES).default(TEMPLATES[0]),
    )
    .option("--seed <number>", "ids of answers follow from it", whole(0), 0)
    .option("--json", "print the address as JSON")
    .action(simulate);
}

async function simulate(flags: Flags): Promise<void> {
  const { json, script, ...options } = flags;
  const simulator = await start({ ...options, keepRequests: 0, ...(script !== undefined && { script: load(script) }) });
  if (json === true) printJson({ url: simulator.url, model: simulator.model, max_model_len: flags.maxModelLen });
  else print(banner(simulator, flags));
  await closeOnSignal(() => simulator.close());
}

function banner({ url, model }: Simulator, flags: Flags): string {
  return [
    `Simulated engine at ${url}`,
    `Model     ${model}, context ${flags.maxModelLen} tokens, ${flags.maxNumSeqs} requests at once`,
    `Answers   ${flags.script ?? "say that this is no model"}`,
    `Try       evener up --engine ${url}`,
  ].join("\n");
}

function load(nameOrPath: string) {
  try {
    return loadScript(nameOrPath);
  } catch (error) {
    if (error instanceof ScriptFileError) throw new CliError(error.message, 2, error);
    throw error;
  }
}

async function start(options: SimulatorOptions): Promise<Simulator> {
  try {
    return await startSimulator(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const problem = code === "EADDRINUSE" ? `port ${options.port} is in use; choose another with --port` : message;
    throw new CliError(`cannot start the simulated engine: ${problem}`, 1, error);
  }
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("It must be a number, 0 or more.");
  return value;
}

function whole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isSafeInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(
        `It must be a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most}`}.`,
      );
    }
    return value;
  };
}
