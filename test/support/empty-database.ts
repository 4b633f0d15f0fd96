/**
 * An embedded database that has nothing in it yet but Evener's tables, copied instead of made: making one takes PGlite and the migrations
 * some four seconds of CPU, and every gateway and store that a test opens needs its own. What it is for a gateway to start on nothing at all
 * is proved with `fromNothing` (command-line.test.ts), and of the store in store-process.test.ts.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readMigrations } from "../../src/db/migrate.ts";
import type * as OpenStore from "../../src/db/open-store.ts";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));
const TEMPLATES = join(MODULES, ".cache", "evener");
const DAY_MS = 86_400_000;

/** Whose tables: the built product's, or those of the sources, which somebody may be changing while a suite runs on the build. */
const MAKERS = {
  dist: { program: "../../dist/db/open-store.js", migrations: "../../dist/db/migrations/" },
  src: { program: "../../src/db/open-store.ts", migrations: "../../src/db/migrations/" },
};
type Maker = keyof typeof MAKERS;

/** Puts an empty database where the store of this data directory looks for one. */
export async function placeEmptyDatabase(dataDir: string, maker: Maker = "dist"): Promise<void> {
  const template = await emptyDatabase(maker);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  cpSync(join(template, "pglite"), join(dataDir, "pglite"), { recursive: true });
}

/** A data directory; one for each version of PGlite and of the tables. */
async function emptyDatabase(maker: Maker): Promise<string> {
  const { program, migrations } = MAKERS[maker];
  const { version } = JSON.parse(readFileSync(join(MODULES, "@electric-sql/pglite/package.json"), "utf8"));
  const checksums = readMigrations(new URL(migrations, import.meta.url)).map(({ checksum }) => checksum);
  const tables = createHash("sha256").update(checksums.join()).digest("hex").slice(0, 12);
  const template = join(TEMPLATES, `pglite-${version}-${tables}`);
  if (existsSync(template)) return template;
  removeOldOnes();
  // Into a folder of its own and then renamed: suites run side by side.
  const draft = `${template}.${process.pid}`;
  const { openStore } = (await import(new URL(program, import.meta.url).href)) as typeof OpenStore;
  const store = await openStore({ dataDir: draft });
  await store.close();
  try {
    renameSync(draft, template);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(template)) throw error;
  }
  return template;
}

function removeOldOnes(): void {
  if (!existsSync(TEMPLATES)) return;
  for (const name of readdirSync(TEMPLATES)) {
    const path = join(TEMPLATES, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (name.startsWith("pglite-") && age > DAY_MS) rmSync(path, { recursive: true, force: true });
  }
}
