/** What `evener up` does: finds the engines of this machine, runs the gateway in front of them, and says what to do next. */
import type { Config } from "../config/schema.ts";
import type { LoadedConfig } from "../config/load.ts";
import { discoverEngines } from "../engine/discover.ts";
import { createUpstream } from "../engine/upstream.ts";
import type { EngineAddress } from "../routing/engine-pool.ts";
import { startSimulator } from "../simulator/start.ts";
import { createLogger } from "../telemetry/log.ts";
import { engineAddresses } from "./gateway-options.ts";
import { print } from "./print.ts";
import { runGateway } from "./run-gateway.ts";
import { closeOnSignal } from "./signals.ts";
import { type EngineSource, upBanner } from "./up-banner.ts";

/** Resolves when the gateway has been stopped. */
export async function runUp({ config, dataDir }: Pick<LoadedConfig, "config" | "dataDir">): Promise<void> {
  const { source, engines, stop } = await findEngines(config);
  try {
    const text = config.log.format === "text" || (config.log.format === "auto" && process.stdout.isTTY);
    const log = createLogger({ level: config.log.level, format: text ? "text" : "json" });
    const running = await runGateway({ config, dataDir, engines, log, clientKey: true, env: process.env });
    print(upBanner({ running, dataDir, source, env: process.env, colour: process.stdout.isTTY }));
    await closeOnSignal(() => running.close());
  } finally {
    await stop();
  }
}

type FoundEngines = { source: EngineSource; engines: EngineAddress[]; stop(): Promise<void> };

async function findEngines(config: Config): Promise<FoundEngines> {
  const configured = engineAddresses(config);
  if (configured.length > 0) return { source: "configured", engines: configured, stop: async () => {} };
  const upstream = createUpstream();
  const discovered = await discoverEngines(upstream);
  await upstream.close();
  if (discovered.length > 0) {
    const engines = discovered.map(({ address }) => ({ ...address, name: new URL(address.url).host }));
    return { source: "discovered", engines, stop: async () => {} };
  }
  const simulator = await startSimulator({ keepRequests: 0 });
  const name = new URL(simulator.url).host;
  return { source: "simulated", engines: [{ name, url: simulator.url }], stop: () => simulator.close() };
}
