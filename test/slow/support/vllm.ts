/**
 * A real vLLM for the slow tests: started by scripts/vllm/serve.sh, or one that already runs.
 *
 * `EVENER_TEST_VLLM_URL` (several with commas) names servers to use instead of starting them: whichever serves the wanted
 * model, told by its window. Nobody else may use them meanwhile, because their counters are compared with ours.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingMessage, get } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** The two models of scripts/vllm/models.py, with their windows in tokens. */
export const WINDOWS = { smollm2: 8_192, tinyqwen3: 131_072 } as const;

/** The name under which scripts/vllm/serve.sh serves any model. */
export const SERVED_MODEL = "test-model";

/** On a CPU. */
const BLOCK_TOKENS = 128;

export type VllmOptions = {
  model: keyof typeof WINDOWS;
  /** One that must be so; without it, any will do. */
  template?: "accepting" | "refusing" | "forgetting";
  reasoningParser?: string;
  /** Without a parser for tool calls, as `vllm serve MODEL` starts it. */
  withoutToolParser?: boolean;
  /** With a KV cache of so many blocks of 128 tokens, and a window that it holds: the engine keeps a few for itself. */
  kvBlocks?: number;
  /** The test will kill it, so it must be one of its own. */
  toBeKilled?: boolean;
  /**
   * The one core on which it may compute, so that it must be one of its own, too: an engine that has all cores of a small machine leaves the
   * gateway waiting for seconds, and what is said about time is then not true.
   */
  core?: number;
};

export type Counters = { promptTokens: number; cachedTokens: number; generationTokens: number; maxTokensAsked: number };

export type Vllm = {
  url: string;
  /** Started for this test: its cache is empty. */
  fresh: boolean;
  counters(): Promise<Counters>;
  running(): Promise<number>;
  /** Resolves once no request runs or waits. */
  idle(): Promise<void>;
  /**
   * `server`: ends all of it at once, so that sockets are cut and nothing is said. `engine`: ends only the process that
   * runs the model, so that the HTTP server still lives to say so.
   */
  kill(what: "server" | "engine"): void;
  stop(): Promise<void>;
};

const SCRIPT = join(import.meta.dirname, "../../../scripts/vllm/serve.sh");

export async function startVllm(options: VllmOptions): Promise<Vllm> {
  // A server does not tell its template.
  const own =
    options.toBeKilled === true ||
    options.template !== undefined ||
    options.core !== undefined ||
    options.kvBlocks !== undefined ||
    options.withoutToolParser === true;
  const given = own ? undefined : await findGiven(WINDOWS[options.model]);
  if (given !== undefined) {
    const untouchable = () => {
      throw new Error("a server that was given must not be killed");
    };
    return { ...clientOf(given), fresh: false, kill: untouchable, stop: async () => {} };
  }
  const flags = ["--port", "0", "--model", options.model];
  if (options.template !== undefined) flags.push("--template", options.template);
  if (options.reasoningParser !== undefined) flags.push("--reasoning-parser", options.reasoningParser);
  if (options.withoutToolParser === true) flags.push("--tool-parser", "none");
  // Greedy where a client gives no temperature (Claude Code does not), so that answers are the same every time.
  flags.push("--", "--override-generation-config", '{"temperature": 0}');
  if (options.kvBlocks !== undefined)
    flags.push(
      "--num-gpu-blocks-override",
      `${options.kvBlocks}`,
      "--max-model-len",
      `${Math.floor(options.kvBlocks * 0.9) * BLOCK_TOKENS}`,
    );
  const core = options.core?.toString();
  const [command, args] = core === undefined ? [SCRIPT, flags] : ["taskset", ["--cpu-list", core, SCRIPT, ...flags]];
  const env = { ...process.env, ...(core !== undefined && { EVENER_VLLM_CPUS: core }) };
  const { stdout } = await promisify(execFile)(command, args, { timeout: 900_000, env });
  const { url, pid } = JSON.parse(stdout) as { url: string; pid: number };
  return {
    ...clientOf(url),
    fresh: true,
    kill: (what) => (what === "server" ? signalGroup(pid, "SIGKILL") : process.kill(engineProcess(pid), "SIGKILL")),
    stop: async () => {
      signalGroup(pid, "SIGTERM");
      for (let tries = 0; tries < 100 && groupLives(pid); tries++) await sleep(100);
      signalGroup(pid, "SIGKILL");
    },
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The process that vLLM names VLLM::EngineCore, a child of the server. The kernel keeps 15 letters of a name. */
function engineProcess(server: number): number {
  const children = readFileSync(`/proc/${server}/task/${server}/children`, "utf8").trim().split(" ");
  const engine = children.find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("VLLM::EngineCo"));
  if (engine === undefined) throw new Error(`the server ${server} has no engine process`);
  return Number(engine);
}

function groupLives(pid: number): boolean {
  try {
    return process.kill(-pid, 0);
  } catch {
    return false;
  }
}

async function findGiven(window: number): Promise<string | undefined> {
  for (const url of process.env["EVENER_TEST_VLLM_URL"]?.split(",") ?? []) {
    const answer = await fetch(`${url}/v1/models`);
    const { data } = (await answer.json()) as { data: { id: string; max_model_len: number }[] };
    if (data.some((model) => model.id === SERVED_MODEL && model.max_model_len === window)) return url;
  }
  return undefined;
}

function clientOf(url: string): Pick<Vllm, "url" | "counters" | "running" | "idle"> {
  // On a connection of its own each time: the engine closes idle ones, possibly just when one is used again.
  const metrics = async () => {
    const request = get(`${url}/metrics`, { agent: false });
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    return text(answer);
  };
  const running = async () => {
    const exposition = await metrics();
    return sum(exposition, "vllm:num_requests_running") + sum(exposition, "vllm:num_requests_waiting");
  };
  return {
    url,
    running,
    counters: async () => {
      const exposition = await metrics();
      return {
        promptTokens: sum(exposition, "vllm:prompt_tokens_total"),
        cachedTokens: sum(exposition, "vllm:prompt_tokens_cached_total"),
        generationTokens: sum(exposition, "vllm:generation_tokens_total"),
        maxTokensAsked: sum(exposition, "vllm:request_params_max_tokens_sum"),
      };
    },
    idle: async () => {
      while ((await running()) > 0) await sleep(50);
    },
  };
}

/** The sum of a metric over its labels; an engine that lacks it is not the one that these tests know. */
function sum(exposition: string, name: string): number {
  const lines = exposition.split("\n").filter((line) => line.startsWith(`${name}{`));
  if (lines.length === 0) throw new Error(`the engine has no metric ${name}`);
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
