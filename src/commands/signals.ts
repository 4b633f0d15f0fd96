/** Stops a long-running command in order on SIGTERM, SIGINT or SIGHUP; a second signal stops it at once. */

/** Resolves when `close` has run. */
export async function closeOnSignal(close: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
  await close();
}
