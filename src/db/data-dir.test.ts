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

it("says in one line that it cannot be used", async () => {
  writeFileSync(join(home, "file"), "");
  const dataDir = join(home, "file", "data");
  const refused = expect.objectContaining({
    code: "refused",
    message: expect.stringMatching(
      /^cannot use the data directory \S+file\/data: ENOTDIR.*; make it writable, .*--data$/,
    ),
  });
  expect(() => makeDataDir(dataDir)).toThrow(refused);
  await expect(lockDataDir(dataDir)).rejects.toEqual(refused);
});
