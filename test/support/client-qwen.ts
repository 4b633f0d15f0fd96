/** Runs the real Qwen Code against a gateway, without a person, with an empty home. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningEvener, cleanEnvironment } from "./evener.ts";
import { type Finished, type RunOptions, runProcess } from "./run-process.ts";

export type QwenEvent = { type: string; subtype?: string; [key: string]: unknown };
export type QwenRun = Finished & { events: QwenEvent[]; result: QwenEvent | undefined };

export type QwenOptions = Partial<RunOptions> & {
  /** As `installQwenCode` gives it. */
  client: { node: string; script: string };
  model: string;
  prompt: string;
  args?: readonly string[];
};

/** Its telemetry is off; what it reports besides cannot be switched off (docs/clients.md). */
const SETTINGS = {
  $version: 3,
  general: { enableAutoUpdate: false, checkpointing: { enabled: false } },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
};

export async function runQwen(evener: Pick<RunningEvener, "url" | "key">, options: QwenOptions): Promise<QwenRun> {
  const home = mkdtempSync(join(tmpdir(), "evener-qwen-home-"));
  try {
    mkdirSync(join(home, ".qwen"));
    writeFileSync(join(home, ".qwen", "settings.json"), JSON.stringify(SETTINGS));
    const env = {
      ...cleanEnvironment(home),
      OPENAI_BASE_URL: `${evener.url}/v1`,
      OPENAI_API_KEY: evener.key,
      OPENAI_MODEL: options.model,
      ...options.env,
    };
    const flags = ["--auth-type", "openai", "--yolo", "--output-format", "stream-json"];
    const args = [options.client.script, ...flags, ...(options.args ?? []), "-p", options.prompt];
    const finished = await runProcess(options.client.node, args, { cwd: home, ...options, env });
    const events = finished.stdout
      .split("\n")
      .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as QwenEvent] : []));
    return { ...finished, events, result: events.findLast(({ type }) => type === "result") };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
