/** Which engine `evener doctor` looks at, with its key: the one that is named, else the one that `evener up` would stand in front of. */
import { discoverEngines } from "../engine/discover.ts";
import { type EngineAddress, engineBase } from "../engine/engine-address.ts";
import type { Upstream } from "../engine/upstream.ts";
import { CliError } from "./cli-error.ts";
import { configFromFlags } from "./gateway-options.ts";

export type DoctorFlags = { engine?: string; config?: string; model?: string; json?: true };

/** Throws CliError: exit code 2 for what cannot be meant, 1 where no engine runs. */
export async function chosenEngine(
  flags: DoctorFlags,
  env: NodeJS.ProcessEnv,
  upstream: Upstream,
): Promise<EngineAddress> {
  const { engines } = configFromFlags(flags.config === undefined ? {} : { config: flags.config }, env).config;
  const configured = engines.map(({ url, api_key }) => ({ url, ...(api_key !== undefined && { apiKey: api_key }) }));
  if (flags.engine !== undefined) {
    const wanted = baseOf(flags.engine);
    // Keys stand in the configuration, as for the gateway: never on a command line.
    return configured.find(({ url }) => baseOf(url) === wanted) ?? { url: flags.engine };
  }
  const found = configured.length > 0 ? configured : (await discoverEngines(upstream)).map(({ address }) => address);
  const [first, ...others] = found;
  if (first === undefined)
    throw new CliError("no engine runs on the usual ports of this machine; name one with --engine URL");
  if (others.length > 0)
    throw new CliError(
      `there are several engines; name one with --engine: ${found.map(({ url }) => url).join(", ")}`,
      2,
    );
  return first;
}

function baseOf(url: string): string {
  try {
    const { origin, prefix } = engineBase(url);
    return origin + prefix;
  } catch (error) {
    throw new CliError((error as Error).message, 2, error);
  }
}
