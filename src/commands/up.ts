/** `evener up`: the gateway for a person at a terminal. Finds the engines of this machine, and says what to do next. */
import type { Command } from "commander";
import type { Config } from "../config/schema.ts";
import { discoverEngines } from "../engine/discover.ts";
import { createUpstream } from "../engine/upstream.ts";
import type { EngineAddress } from "../routing/engine-pool.ts";
import { startSimulator } from "../simulator/start.ts";
import { createLogger } from "../telemetry/log.ts";
import { type GatewayFlags, configFromFlags, engineAddresses, withGatewayFlags } from "./gateway-options.ts";
import { print } from "./print.ts";
import { runGateway } from "./run-gateway.ts";
import { closeOnSignal } from "./signals.ts";
import { upBanner } from "./up-banner.ts";

/** Where engines come from: `simulated` when neither the person nor this machine has any. */
export type EngineSource = "configured" | "discovered" | "simulated";

export function register(program: Command): void {
  withGatewayFlags(
    program.command("up").description("bring the gateway up on this machine, in front of the engines that run here"),
  ).action(async (flags: GatewayFlags) => {
    const { config, dataDir } = configFromFlags(flags, process.env);
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
  });
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
