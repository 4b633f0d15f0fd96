import { describe, expect, it } from "vitest";
import { findClaude } from "./find-claude.ts";

const find = (installed: string[], environment: Record<string, string> = {}, platform = "linux") =>
  findClaude({
    environment: { PATH: "/usr/bin:/opt/bin", ...environment },
    home: "/home/u",
    cwd: "/w/project",
    platform,
    arch: "x64",
    node: "/usr/local/bin/node",
    isExecutable: (path) => installed.includes(path),
  });

describe("findClaude", () => {
  it.each([
    "/opt/bin/claude",
    "/home/u/.local/bin/claude",
    "/home/u/.claude/local/claude",
    "/w/project/node_modules/@anthropic-ai/claude-code-linux-x64/claude",
    "/w/node_modules/@anthropic-ai/claude-code-linux-x64/claude",
    "/usr/local/lib/node_modules/@anthropic-ai/claude-code-linux-x64/claude",
    "/usr/local/lib/node_modules/@anthropic-ai/claude-code/node_modules/@anthropic-ai/claude-code-linux-x64/claude",
  ])("finds %s", (path) => {
    expect(find([path])).toBe(path);
  });

  it("prefers PATH", () => {
    expect(find(["/home/u/.local/bin/claude", "/opt/bin/claude"])).toBe("/opt/bin/claude");
  });

  it("looks nowhere else when EVENER_CLAUDE_BIN is set", () => {
    expect(find(["/opt/bin/claude", "/x/claude"], { EVENER_CLAUDE_BIN: "/x/claude" })).toBe("/x/claude");
    expect(find(["/opt/bin/claude"], { EVENER_CLAUDE_BIN: "/x/claude" })).toBeUndefined();
  });

  it("is undefined when there is none", () => {
    expect(find([])).toBeUndefined();
  });
});
