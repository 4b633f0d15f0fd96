import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeDataDir } from "./data-dir.ts";
import { lockDataDir } from "./data-dir-lock.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "evener-data-dir-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

it("makes the directory, for its owner alone, and takes one that is there", () => {
  const dataDir = join(home, "a", "b");
  makeDataDir(dataDir);
  makeDataDir(dataDir);
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
});

it.each([
  ["a file in its path", () => join(home, "file", "data"), "a part of that path is a file; give another with --data"],
  ["a file of its name", () => join(home, "file"), "there is a file of that name; give another with --data"],
])("says in one line that it cannot be used: %s", async (_what, where, problem) => {
  writeFileSync(join(home, "file"), "");
  const dataDir = where();
  const refused = expect.objectContaining({
    code: "refused",
    message: `cannot use the data directory ${dataDir}: ${problem}`,
  });
  expect(() => makeDataDir(dataDir)).toThrow(refused);
  await expect(lockDataDir(dataDir)).rejects.toEqual(refused);
});

it.runIf(process.platform === "linux")("does not try for ever where nothing can be made", () => {
  expect(() => makeDataDir("/proc/evener")).toThrow(/^cannot use the data directory \/proc\/evener: .*--data$/);
});
