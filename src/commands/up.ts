/** `evener up`: the gateway for a person at a terminal. */
import type { Command } from "commander";
import { type GatewayFlags, configFromFlags, withGatewayFlags } from "./gateway-options.ts";

export function register(program: Command): void {
  withGatewayFlags(
    program.command("up").description("bring the gateway up on this machine, in front of the engines that run here"),
  ).action(async (flags: GatewayFlags) => {
    const loaded = configFromFlags(flags, process.env);
    // Seven hundred modules, which help and a wrong flag can do without.
    const { runUp } = await import("./run-up.ts");
    await runUp(loaded);
  });
}
