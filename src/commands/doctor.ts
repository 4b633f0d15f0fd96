/** `evener doctor`: what would break a coding agent on a live engine, and which flag mends it. */
import type { Command } from "commander";
import type { DoctorFlags } from "./doctor-options.ts";

export function register(program: Command): void {
  program
    .command("doctor")
    .description("look at a live engine: what would break a coding agent on it, and which flag mends that")
    .option("--engine <url>", "the engine; by default the one that `evener up` would stand in front of")
    .option("--model <name>", "which of its models; the first by default")
    .option("--config <file>", "configuration file with the engine's key (evener.yaml)")
    .option("--json", "print JSON")
    .action(async (flags: DoctorFlags) => {
      const { runDoctor } = await import("./run-doctor.ts");
      process.exitCode = await runDoctor(flags, process.env);
    });
}
