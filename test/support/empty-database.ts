/**
 * An embedded database that has nothing in it yet, copied instead of made: making one takes PGlite some four seconds of CPU, and
 * every gateway that a test starts needs its own. What Evener keeps in it is made by Evener at each start.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PGlite } from "@electric-sql/pglite";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** Puts an empty database where the store of this data directory looks for one. */
export async function placeEmptyDatabase(dataDir: string): Promise<void> {
  const template = await emptyDatabase();
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  cpSync(template, join(dataDir, "pglite"), { recursive: true });
}

async function emptyDatabase(): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(MODULES, "@electric-sql/pglite/package.json"), "utf8"));
  const template = join(MODULES, ".cache", "evener", `pglite-${version}`);
  if (existsSync(template)) return template;
  // Into a folder of its own and then renamed: suites run side by side.
  const draft = `${template}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  const database = await PGlite.create(draft);
  await database.close();
  try {
    renameSync(draft, template);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(template)) throw error;
  }
  return template;
}
