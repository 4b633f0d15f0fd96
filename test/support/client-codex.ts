/** Runs the real Codex against a gateway, without a person, with a home of its own that keeps its sessions. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RunningEvener, cleanEnvironment } from "./evener.ts";
import { type Finished, type RunOptions, runProcess } from "./run-process.ts";

export type CodexItem = { id: string; type: string; [key: string]: unknown };
export type CodexEvent = { type: string; item?: CodexItem; [key: string]: unknown };
export type CodexRun = Finished & {
  events: CodexEvent[];
  /** Items as they were when completed, in order. */
  items: CodexItem[];
  /** What it calls the session: `codex exec resume` takes it. */
  thread: string | undefined;
};

export type CodexOptions = Partial<RunOptions> & {
  binary: string;
  model: string;
  prompt: string;
  /** An empty directory, or the one of the session that is resumed. */
  home: string;
  /** Tokens of the model's window. */
  window?: number;
  /** A thread of this home's to go on with. */
  resume?: string;
  /** Further `key=value` of its configuration. */
  config?: readonly string[];
};

/** docs/clients.md shows this as `~/.codex/config.toml`; a test holds the two together. */
export function codexConfig(url: string, model: string, window = 131_072): string {
  return `model = "${model}"
model_provider = "evener"
model_context_window = ${window}

[model_providers.evener]
name = "Evener"
base_url = "${url}/v1"
env_key = "EVENER_KEY"
wire_api = "responses"

[analytics]
enabled = false

[features]
plugins = false
`;
}

/** Without its sandbox, which a container may not let it have: what it runs is what the test's script says. */
export async function runCodex(evener: Pick<RunningEvener, "url" | "key">, options: CodexOptions): Promise<CodexRun> {
  const { binary, model, prompt, home, window, resume, config = [] } = options;
  mkdirSync(join(home, ".codex"), { recursive: true });
  writeFileSync(join(home, ".codex", "config.toml"), codexConfig(evener.url, model, window));
  const env = { ...cleanEnvironment(home), EVENER_KEY: evener.key, ...options.env };
  const flags = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
  const settings = config.flatMap((setting) => ["-c", setting]);
  const command = ["exec", ...(resume === undefined ? [] : ["resume"])];
  const session = resume === undefined ? [] : [resume];
  const args = [...command, ...flags, ...settings, ...session, prompt];
  const finished = await runProcess(binary, args, { cwd: home, ...options, env });
  const events = finished.stdout
    .split("\n")
    .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as CodexEvent] : []));
  return {
    ...finished,
    events,
    items: events.flatMap(({ type, item }) => (type === "item.completed" && item !== undefined ? [item] : [])),
    thread: events.find(({ type }) => type === "thread.started")?.["thread_id"] as string | undefined,
  };
}

/** What Codex's `model_catalog_json` must say of a model for it to hold tools back, and let the model search for them. */
export function searchingModel(slug: string): object {
  return {
    slug,
    display_name: slug,
    description: null,
    supported_reasoning_levels: [],
    shell_type: "unified_exec",
    visibility: "list",
    supported_in_api: true,
    priority: 1,
    base_instructions: "You are a coding agent.",
    support_verbosity: false,
    truncation_policy: { mode: "tokens", limit: 10_000 },
    experimental_supported_tools: [],
    supports_search_tool: true,
    supports_parallel_tool_calls: true,
    context_window: 100_000,
  };
}
