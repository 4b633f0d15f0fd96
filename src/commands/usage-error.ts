/** What commander says of a command that was called wrongly: one line, with what to do. */
import type { Command } from "commander";

/** For the command and all below it. After they are registered: each names its own help. */
export function refuseInOneLine(command: Command, path = command.name()): void {
  command.configureOutput({ outputError: (text, write) => write(`${usageError(text, path)}\n`) });
  for (const below of command.commands) refuseInOneLine(below, `${path} ${below.name()}`);
}

/** `text` is commander's: `error: …`, perhaps with a second line `(Did you mean …?)`. `path` is the command: `evener key create`. */
export function usageError(text: string, path: string): string {
  const said = text
    .trim()
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ");
  // These say what to give instead.
  const advised = said.includes(" is invalid. ");
  return `evener: ${said}${advised ? "" : `${said.endsWith(".") ? " See" : "; see"}: ${path} --help`}`;
}
