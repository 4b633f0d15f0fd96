/**
 * Makes what the embedded database has committed survive a power cut: PGlite writes its files but never syncs them, so it is told to
 * write all it has in memory, and then the files are synced from outside.
 */
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../db/open-store.ts";

/** When the files of a store were last synced; what has not changed since needs no second sync. */
const syncedAt = new WeakMap<Store, number>();
/** File systems keep times coarsely. */
const COARSE_MS = 2_000;

/** Nothing to do on Postgres, whose commits are durable. */
export async function syncEmbedded(store: Store): Promise<void> {
  if (store.kind !== "pglite") return;
  const begun = Date.now();
  await store.run({ name: "checkpoint", text: "CHECKPOINT" }, []);
  await syncTree(store.where, (syncedAt.get(store) ?? 0) - COARSE_MS);
  syncedAt.set(store, begun);
}

/** A new database has some thousand files; one after the other they take seconds. */
const AT_ONCE = 16;

async function syncTree(root: string, changedSince: number): Promise<void> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  const paths = entries.flatMap((entry) =>
    entry.isFile() || entry.isDirectory() ? [join(entry.parentPath, entry.name)] : [],
  );
  paths.push(root);
  const lane = async (): Promise<void> => {
    for (let path = paths.shift(); path !== undefined; path = paths.shift())
      if ((await changedAt(path)) >= changedSince) await sync(path);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function changedAt(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return -Infinity;
    throw error;
  }
}

async function sync(path: string): Promise<void> {
  try {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // The database removes files of its own, old log segments for one.
    if (!isMissing(error)) throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === "ENOENT";
}
