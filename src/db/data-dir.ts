/** Makes the data directory, and says in one line why it cannot be used. */
import { accessSync, constants, mkdirSync } from "node:fs";
import { StoreError } from "./store-error.ts";

/** Made if it is missing, mode 0700. Throws StoreError `refused` when it cannot be made, or written to. */
export function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(dataDir, error);
  }
}

export function unusable(dataDir: string, error: unknown): StoreError {
  const message = `cannot use the data directory ${dataDir}: ${(error as Error).message}; make it writable, or give another with --data`;
  return new StoreError("refused", message, error);
}
