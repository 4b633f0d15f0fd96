/** How a command fails: one line for people and an exit code. main.ts prints `evener: <message>` to stderr. */

/** 1: it failed. 2: it was called wrongly. Beyond: a signal ended it, 128 and the signal's number, as shells have it. */
export type ExitCode = 1 | 2 | 130 | 143;

export class CliError extends Error {
  readonly exitCode: ExitCode;

  /** `message`: what is wrong; what to do. */
  constructor(message: string, exitCode: ExitCode = 1, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}
