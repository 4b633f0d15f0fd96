/** Runs the real OpenCode against a gateway, by either of its wires, with an empty home and a configuration of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunningEvener } from "./evener.ts";
import { type Finished, type RunOptions, runProcess } from "./run-process.ts";

/** Providers that come with OpenCode's binary; nothing is fetched for them. */
export const OPENCODE_WIRES = {
  "openai-chat": "@ai-sdk/openai-compatible",
  "anthropic-messages": "@ai-sdk/anthropic",
} as const;
export type OpenCodeWire = keyof typeof OPENCODE_WIRES;

export type OpenCodeEvent = { type: string; [key: string]: unknown };
export type OpenCodeRun = Finished & { events: OpenCodeEvent[] };

export type OpenCodeOptions = Partial<RunOptions> & {
  binary: string;
  wire: OpenCodeWire;
  model: string;
  prompt: string;
  /** Tokens of the model's window. */
  window?: number;
  args?: readonly string[];
};

/** docs/clients.md shows this as `opencode.json`. */
export function openCodeConfig(url: string, wire: OpenCodeWire, model: string, window = 131_072): object {
  return {
    $schema: "https://opencode.ai/config.json",
    provider: {
      evener: {
        npm: OPENCODE_WIRES[wire],
        name: "Evener",
        options: { baseURL: `${url}/v1`, apiKey: "{env:EVENER_KEY}" },
        models: {
          [model]: { name: model, reasoning: true, tool_call: true, limit: { context: window, output: 8_192 } },
        },
      },
    },
    model: `evener/${model}`,
    small_model: `evener/${model}`,
    autoupdate: false,
    share: "disabled",
  };
}

export async function runOpenCode(
  evener: Pick<RunningEvener, "url" | "key">,
  options: OpenCodeOptions,
): Promise<OpenCodeRun> {
  const home = mkdtempSync(join(tmpdir(), "evener-opencode-home-"));
  try {
    const env = {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: home,
      LANG: "C.UTF-8",
      EVENER_KEY: evener.key,
      OPENCODE_CONFIG_CONTENT: JSON.stringify(openCodeConfig(evener.url, options.wire, options.model, options.window)),
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
      ...options.env,
    };
    const args = ["run", "--format", "json", ...(options.args ?? []), options.prompt];
    const finished = await runProcess(options.binary, args, { cwd: home, ...options, env });
    return { ...finished, events: jsonLines(finished.stdout) };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function jsonLines(text: string): OpenCodeEvent[] {
  return text.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as OpenCodeEvent] : []));
}
