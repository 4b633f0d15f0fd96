/** What becomes of output that nobody takes: what is left to say is lost, what is left to do is done, by a gateway above all. */

/** Handles the errors of stdout and stderr; where the disk is full, or the like, it says so once and the command ends with exit code 1. */
export function outliveLostOutput(): void {
  let said = false;
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // Whoever read has enough (`evener usage | head -1`).
      if (error.code === "EPIPE") return;
      process.exitCode = 1;
      if (said) return;
      said = true;
      process.stderr.write(`evener: cannot write the output: ${error.message}; make room, or send it elsewhere\n`);
    });
}
