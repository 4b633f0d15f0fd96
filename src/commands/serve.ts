/** `evener serve`: the gateway for production. What it does is in its configuration; it looks for nothing and invents nothing. */
import type { Command } from "commander";
import { CliError } from "./cli-error.ts";
import { type GatewayFlags, configFromFlags, engineAddresses, withGatewayFlags } from "./gateway-options.ts";

export function register(program: Command): void {
  withGatewayFlags(
    program.command("serve").description("run the gateway in production: configured engines only, JSON logs"),
  ).action(async (flags: GatewayFlags) => {
    const { config, dataDir, file } = configFromFlags(flags, process.env);
    const engines = engineAddresses(config);
    if (engines.length === 0)
      throw new CliError(
        "evener serve looks for no engines; list them under `engines:` in evener.yaml or in EVENER_ENGINES",
        2,
      );
    // As in up.ts.
    const { runServe } = await import("./run-serve.ts");
    await runServe({ config, dataDir, file, engines });
  });
}
