/** The flags that `evener up` and `evener serve` share, and how they become a configuration. */
import { type Command, InvalidArgumentError } from "commander";
import { ConfigError, type LoadedConfig, loadConfig } from "../config/load.ts";
import type { Config, ConfigInput } from "../config/schema.ts";
import type { EngineAddress } from "../routing/engine-pool.ts";
import { CliError } from "./cli-error.ts";

export type GatewayFlags = {
  config?: string;
  engine?: string[];
  host?: string;
  port?: number;
  data?: string;
  databaseUrl?: string;
};

export function withGatewayFlags(command: Command): Command {
  return command
    .option("--engine <url>", "an engine to stand in front of; may be repeated", (url, sofar: string[] = []) => [
      ...sofar,
      url,
    ])
    .option("--port <port>", "port to listen on (4400)", portNumber)
    .option("--host <address>", "address to listen on (127.0.0.1)")
    .option("--data <dir>", "data directory (~/.evener)")
    .option("--database-url <url>", "Postgres instead of the embedded store")
    .option("--config <file>", "configuration file (evener.yaml)");
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError("It must be a whole number from 0 to 65535.");
  return port;
}

/** Flags over environment over file. Throws CliError with exit code 2. */
export function configFromFlags(flags: GatewayFlags, env: NodeJS.ProcessEnv): LoadedConfig {
  const input: Partial<ConfigInput> = {};
  if (flags.engine !== undefined) input.engines = flags.engine.map((url) => ({ url }));
  if (flags.host !== undefined) input.host = flags.host;
  if (flags.port !== undefined) input.port = flags.port;
  if (flags.data !== undefined) input.data = flags.data;
  if (flags.databaseUrl !== undefined) input.database_url = flags.databaseUrl;
  try {
    return loadConfig({ flags: input, configFile: flags.config, env, cwd: process.cwd() });
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw new CliError(thrown.message, 2, thrown);
    throw thrown;
  }
}

/** Named by host and port where the configuration gives no name; two of one name would be one in metrics and routing. */
export function engineAddresses(config: Pick<Config, "engines">): EngineAddress[] {
  const addresses = config.engines.map(({ url, api_key, name }) => ({
    name: name ?? new URL(url).host,
    url,
    ...(api_key !== undefined && { apiKey: api_key }),
  }));
  const names = new Set<string>();
  for (const { name } of addresses) {
    if (names.has(name)) throw new CliError(`two engines are named ${name}; give each its own name or URL`, 2);
    names.add(name);
  }
  return addresses;
}
