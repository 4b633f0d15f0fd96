/** The embedded store between processes: one at a time, and none of what it acknowledged is lost when it is killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Store, openStore } from "../../src/db/open-store.ts";
import { placeEmptyDatabase } from "../support/empty-database.ts";

const CHILD = new URL("../support/store-child.ts", import.meta.url).pathname;
const children: ChildProcess[] = [];
let dataDir: string;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "evener-store-"));
  await placeEmptyDatabase(dataDir, "src");
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  rmSync(dataDir, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** Resolves once the child has printed so many lines; `lines` goes on growing. */
async function start(task: string, enough: number): Promise<{ child: ChildProcess; lines: string[] }> {
  const child = spawn(process.execPath, [CHILD, dataDir, task], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines: string[] = [];
  let rest = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      if (lines.length >= enough) resolve();
    });
    child.once("exit", (code) => reject(new Error(`the child ended early, with ${code}`)));
  });
  return { child, lines };
}

async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ dataDir });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

it("makes its database and tables where there is nothing", async () => {
  rmSync(dataDir, { recursive: true });
  await withStore(async (store) => {
    expect(await store.db.selectFrom("tenant").select("id").execute()).toEqual([]);
  });
});

it("refuses a directory that another process has open, and names that process", async () => {
  const { child } = await start("hold", 1);
  const error = await openStore({ dataDir }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "StoreError", code: "locked" });
  expect(String(error)).toContain(dataDir);
  expect(String(error)).toContain(`pid ${child.pid}`);
});

it("refuses a directory that this process has open", async () => {
  await withStore(async () => {
    await expect(openStore({ dataDir })).rejects.toMatchObject({ code: "locked" });
  });
});

it("says so when the directory cannot be used", async () => {
  const file = join(dataDir, "file");
  writeFileSync(file, "");
  await expect(openStore({ dataDir: join(file, "data") })).rejects.toMatchObject({
    code: "refused",
    message: expect.stringContaining(`cannot use the data directory ${file}`),
  });
});

it("opens after kill -9 with every row that was acknowledged, once each, round after round", async () => {
  const acknowledged = new Set<string>();
  for (const enough of [1, 150, 400]) {
    const { child, lines } = await start("write", enough);
    await kill(child);
    for (const line of lines) if (line !== "open") acknowledged.add(line);
    const stored = await withStore(async ({ db }) => {
      const rows = await db.selectFrom("usage_event").select("request_id").execute();
      return rows.map((row) => row.request_id);
    });
    expect(new Set(stored).size).toBe(stored.length);
    const missing = [...acknowledged].filter((id) => !stored.includes(id));
    expect(missing).toEqual([]);
  }
  expect(acknowledged.size).toBeGreaterThan(500);
});
