/** Makes the data directory, and says in one line why it cannot be used. */
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { StoreError } from "./store-error.ts";

/** Made if it is missing, mode 0700. Throws StoreError `refused` when it cannot be made, or written to. */
export function makeDataDir(dataDir: string): void {
  try {
    makePath(dataDir);
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(dataDir, error);
  }
}

/** Not by `recursive`: with that Node tries for ever where the parent is there and takes no directory (`/proc/x`). */
function makePath(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path || isDirectory(parent)) throw error;
    makePath(parent);
    mkdirSync(path, { mode: 0o700 });
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

export function unusable(dataDir: string, error: unknown): StoreError {
  const { code, message } = error as NodeJS.ErrnoException;
  const problem = PROBLEMS[code ?? ""] ?? `${message}; make it writable, or give another with --data`;
  return new StoreError("refused", `cannot use the data directory ${dataDir}: ${problem}`, error);
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EEXIST: "there is a file of that name; give another with --data",
  ENOTDIR: "a part of that path is a file; give another with --data",
  EACCES: "no permission; make it writable for this user, or give another with --data",
  EROFS: "the file system is read-only; give another with --data",
};
