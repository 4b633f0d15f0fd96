/** Commands that are to succeed and to say nothing on stderr. */
import { expect } from "vitest";
import type { RunningEvener } from "./evener.ts";

/** Runs one and resolves with its stdout; fails the test otherwise. */
export async function succeeding(evener: Pick<RunningEvener, "cli">, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await evener.cli(args);
  expect([args.join(" "), code, stderr]).toEqual([args.join(" "), 0, ""]);
  return stdout;
}
