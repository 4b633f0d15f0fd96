import {
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  lstatSync,
  readdirSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { environmentOf, parseSettings, settingsFiles, withEnvironment } from "./claude-settings.ts";
import { writeSettingsFile } from "./write-settings-file.ts";

describe("settingsFiles", () => {
  it("looks where Claude Code looks", () => {
    expect(settingsFiles("/w", "/home/u", {}, "linux").map((file) => file.path)).toEqual([
      "/home/u/.claude/settings.json",
      "/w/.claude/settings.json",
      "/w/.claude/settings.local.json",
      "/etc/claude-code/managed-settings.json",
    ]);
    expect(settingsFiles("/w", "/home/u", { CLAUDE_CONFIG_DIR: "/c" }, "linux")[0]?.path).toBe("/c/settings.json");
  });
});

describe("parseSettings", () => {
  it.each(["", "[]", "null", '"x"', "{", "{} {}"])("is undefined for %j", (text) => {
    expect(parseSettings(text)).toBeUndefined();
  });
});

describe("withEnvironment", () => {
  it("adds to the env block and loses nothing", () => {
    const settings = {
      permissions: { allow: ["Bash(ls)"] },
      env: { FOO: "1", ANTHROPIC_BASE_URL: "old" },
      model: "opus",
    };
    const result = withEnvironment(settings, { ANTHROPIC_BASE_URL: "new", B: "2" });
    expect(result).toEqual({ ...settings, env: { FOO: "1", ANTHROPIC_BASE_URL: "new", B: "2" } });
    expect(settings.env.ANTHROPIC_BASE_URL).toBe("old");
  });
});

describe("environmentOf", () => {
  it("holds the strings of the env block", () => {
    expect(environmentOf({ env: { A: "1", B: 2, C: null } })).toEqual({ A: "1" });
    expect(environmentOf({ env: "x" })).toEqual({});
  });
});

describe("writeSettingsFile", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "evener-settings-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("writes for the owner only, also over a file that everybody could read, and leaves no draft", () => {
    const path = join(folder, "deep", "settings.json");
    writeSettingsFile(path, { a: 1 });
    writeFileSync(join(folder, "open.json"), "{}", { mode: 0o644 });
    writeSettingsFile(join(folder, "open.json"), { b: 2 });
    expect(readFileSync(path, "utf8")).toBe('{\n  "a": 1\n}\n');
    for (const file of [path, join(folder, "open.json")]) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).toSorted()).toEqual(["deep", "open.json"]);
  });

  it("writes through a symbolic link", () => {
    const real = join(folder, "real.json");
    const link = join(folder, "link.json");
    writeFileSync(real, "{}");
    symlinkSync(real, link);
    writeSettingsFile(link, { a: 1 });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(real, "utf8"))).toEqual({ a: 1 });
  });
});
