/** How a command fails: one line for people and an exit code. main.ts prints `evener: <message>` to stderr. */
export class CliError extends Error {
  /** 1: it failed. 2: it was called wrongly. */
  readonly exitCode: 1 | 2;

  /** `message`: what is wrong; what to do. */
  constructor(message: string, exitCode: 1 | 2 = 1, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}
