/**
 * Knows how one process at a time holds a data directory: PGlite has no lock of its own, and two processes that opened
 * one directory have silently lost each other's rows.
 *
 * The lock is the operating system's (SQLite takes it with fcntl on `<dataDir>/lock`): it dies with its process, however
 * that dies, and it holds across containers that share a volume. Closing any descriptor of a locked file drops such a lock, so
 * nothing else may open `lock`; who holds it stands in a file beside it, for people only.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type sqlite from "node:sqlite";
import { makeDataDir, unusable } from "./data-dir.ts";
import { StoreError } from "./store-error.ts";

export type DataDirLock = { release(): void };

/**
 * Takes the directory (made if it is missing, mode 0700). Throws StoreError `locked`, with the holder's pid if known, or
 * `refused` when the directory cannot be written to.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const { DatabaseSync } = await importSqlite();
  makeDataDir(dataDir);
  const holderFile = join(dataDir, "lock.holder");
  let connection: sqlite.DatabaseSync | undefined;
  try {
    connection = new DatabaseSync(join(dataDir, "lock"), { timeout: 0 });
    connection.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    writeFileSync(holderFile, `pid ${process.pid} on ${hostname()}\n`, { mode: 0o600 });
  } catch (error) {
    connection?.close();
    if ((error as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw unusable(dataDir, error);
    throw new StoreError(
      "locked",
      `the data directory ${dataDir} is in use by another evener${holder(holderFile)}; stop it, or give this one its own with --data`,
      error,
    );
  }
  const held = connection;
  return {
    release() {
      rmSync(holderFile, { force: true });
      held.close();
    },
  };
}

const SQLITE_BUSY = 5;

function holder(file: string): string {
  try {
    return ` (${readFileSync(file, "utf8").trim()})`;
  } catch {
    return "";
  }
}

/** Node 24 warns that node:sqlite is experimental; what is used of it here is three statements. */
async function importSqlite(): Promise<typeof sqlite> {
  const own = Object.getOwnPropertyDescriptor(process, "emitWarning");
  process.emitWarning = () => {};
  try {
    return await import("node:sqlite");
  } finally {
    if (own) Object.defineProperty(process, "emitWarning", own);
  }
}
