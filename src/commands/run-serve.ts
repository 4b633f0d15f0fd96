/** What `evener serve` does: the gateway as it is configured, with a log for machines. */
import type { LoadedConfig } from "../config/load.ts";
import type { EngineAddress } from "../routing/engine-pool.ts";
import { createLogger } from "../telemetry/log.ts";
import { runGateway } from "./run-gateway.ts";
import { closeOnSignal } from "./signals.ts";

/** Resolves when the gateway has been stopped. */
export async function runServe({
  config,
  dataDir,
  file,
  engines,
}: LoadedConfig & { engines: readonly EngineAddress[] }): Promise<void> {
  const log = createLogger({ level: config.log.level, format: config.log.format === "text" ? "text" : "json" });
  const running = await runGateway({ config, dataDir, engines, log, clientKey: false, env: process.env });
  log.info({ url: running.url, store: running.store.where, config: file ?? null }, "serving");
  await closeOnSignal(() => running.close());
}
