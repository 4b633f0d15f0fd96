/** What signals do: a gateway is stopped in order, and what a gateway was asked for is given up, there as well; a second signal stops at once. */
import { CliError, type ExitCode } from "./cli-error.ts";

/** For SIGTERM, SIGINT and SIGHUP. Resolves when `close` has run. */
export async function closeOnSignal(close: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
  await close();
}

const INTERRUPTIONS = { SIGINT: 130, SIGTERM: 143 } as const satisfies Partial<Record<NodeJS.Signals, ExitCode>>;

/** Runs `work`, which is to end when its signal is aborted. Rejects with CliError where SIGINT or SIGTERM ended it. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const aborting = new AbortController();
  let by: keyof typeof INTERRUPTIONS | undefined;
  const interrupt = (signal: NodeJS.Signals): void => {
    by ??= signal as keyof typeof INTERRUPTIONS;
    aborting.abort();
  };
  const signals = Object.keys(INTERRUPTIONS) as (keyof typeof INTERRUPTIONS)[];
  for (const signal of signals) process.once(signal, interrupt);
  try {
    return await work(aborting.signal);
  } catch (error) {
    if (by === undefined) throw error;
    throw new CliError(`stopped by ${by}; the gateway stops working on it as well`, INTERRUPTIONS[by], error);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}
