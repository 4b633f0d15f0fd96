import { describe, expect, it } from "vitest";
import type { SettingsFile } from "./claude-settings.ts";
import { sessionSettings } from "./session-settings.ts";

const SET = { ANTHROPIC_BASE_URL: "http://127.0.0.1:4400", ANTHROPIC_AUTH_TOKEN: "sk-1", ANTHROPIC_MODEL: "m" };
const USER: SettingsFile = { path: "/home/u/.claude/settings.json", managed: false };
const MANAGED: SettingsFile = { path: "/etc/claude-code/managed-settings.json", managed: true };

const decide = (files: Record<string, string>, args: string[] = []) =>
  sessionSettings(args, SET, [USER, MANAGED], (path) => files[path]);

describe("sessionSettings", () => {
  it("asks only that WebFetch does not phone home when nothing conflicts", () => {
    expect(decide({ [USER.path]: '{"model":"opus","env":{"FOO":"1"}}' }, ["-p", "hi"])).toEqual({
      args: ["-p", "hi"],
      settings: { skipWebFetchPreflight: true },
      secret: false,
      overridden: [],
      insurmountable: [],
    });
  });

  it("leaves the preflight to a user who has decided about it", () => {
    expect(decide({ [USER.path]: '{"skipWebFetchPreflight":false}' }).settings).toBeUndefined();
  });

  it("outranks another gateway in the user's file, address and key together", () => {
    const session = decide({ [USER.path]: '{"env":{"ANTHROPIC_BASE_URL":"https://other.example"}}' });
    expect(session.settings).toEqual({
      skipWebFetchPreflight: true,
      env: { ANTHROPIC_BASE_URL: SET.ANTHROPIC_BASE_URL, ANTHROPIC_AUTH_TOKEN: "sk-1" },
    });
    expect(session.secret).toBe(true);
    expect(session.overridden).toEqual([{ ...USER, names: ["ANTHROPIC_BASE_URL"] }]);
  });

  it("blanks other credentials and providers", () => {
    const session = decide({
      [USER.path]: '{"apiKeyHelper":"get-key","env":{"CLAUDE_CODE_USE_BEDROCK":"1","ANTHROPIC_API_KEY":"k"}}',
    });
    expect(session.settings).toMatchObject({
      apiKeyHelper: "",
      env: { CLAUDE_CODE_USE_BEDROCK: "", ANTHROPIC_API_KEY: "", ANTHROPIC_AUTH_TOKEN: "sk-1" },
    });
    expect(session.overridden[0]?.names).toEqual(["ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "apiKeyHelper"]);
  });

  it("finds no conflict in a file that Evener itself has written", () => {
    expect(decide({ [USER.path]: JSON.stringify({ env: SET }) }).overridden).toEqual([]);
  });

  it("reports what a managed file insists on: nothing outranks it", () => {
    const session = decide({ [MANAGED.path]: '{"env":{"ANTHROPIC_AUTH_TOKEN":"theirs"}}' });
    expect(session.insurmountable).toEqual([{ ...MANAGED, names: ["ANTHROPIC_AUTH_TOKEN"] }]);
  });

  it.each([
    ["inline", ["--settings", '{"theme":"dark","env":{"A":"1"}}', "-p", "hi"]],
    ["joined", ['--settings={"theme":"dark","env":{"A":"1"}}', "-p", "hi"]],
    ["a file", ["--settings", "/mine.json", "-p", "hi"]],
  ])("merges the user's own --settings (%s) and keeps it off the command line, as it may hold secrets", (_, args) => {
    const session = decide({ "/mine.json": '{"theme":"dark","env":{"A":"1"}}' }, args);
    expect(session.args).toEqual(["-p", "hi"]);
    expect(session.settings).toEqual({ theme: "dark", skipWebFetchPreflight: true, env: { A: "1" } });
    expect(session.secret).toBe(true);
  });

  it("leaves a --settings that cannot be read to the client, and a prompt behind -- alone", () => {
    expect(decide({}, ["--settings", "/nothing.json"])).toMatchObject({
      args: ["--settings", "/nothing.json"],
      settings: undefined,
    });
    expect(decide({}, ["-p", "--", "--settings", "x"]).args).toEqual(["-p", "--", "--settings", "x"]);
  });

  it("passes over files that are not there or not JSON", () => {
    expect(decide({ [USER.path]: "{ // comment" }).overridden).toEqual([]);
  });
});
