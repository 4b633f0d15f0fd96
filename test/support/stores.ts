/** Both kinds of store for `describe.each`, each opened empty: the same test bodies run on PGlite and on a real Postgres. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Store, type StoreOptions, openStore } from "../../src/db/open-store.ts";
import { placeEmptyDatabase } from "./empty-database.ts";
import { postgresAvailable, startPostgres } from "./postgres.ts";

export type TestStore = {
  store: Store;
  /** What it was opened with; the embedded one is locked until it is closed. */
  options: StoreOptions;
  /** Closes the store and removes everything. */
  dispose(): Promise<void>;
};

export type StoreKind = { kind: "pglite" | "postgres"; skip: boolean; open: () => Promise<TestStore> };

async function openPglite(): Promise<TestStore> {
  const dataDir = mkdtempSync(join(tmpdir(), "evener-store-"));
  const options = { dataDir };
  await placeEmptyDatabase(dataDir, "src");
  const store = await openStore(options);
  return {
    store,
    options,
    async dispose() {
      await store.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function openPostgres(): Promise<TestStore> {
  const server = await startPostgres();
  const dataDir = mkdtempSync(join(tmpdir(), "evener-store-"));
  const options = { dataDir, databaseUrl: await server.createDatabase() };
  const store = await openStore(options);
  return {
    store,
    options,
    async dispose() {
      await store.close();
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export const STORE_KINDS: readonly StoreKind[] = [
  { kind: "pglite", skip: false, open: openPglite },
  { kind: "postgres", skip: !postgresAvailable(), open: openPostgres },
];
