/** `evener claude` around the client: what it refuses before it starts anything, what it prints and writes, how it ends. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { cleanEnvironment, type RunningEvener, runEvener, startEvener } from "../support/evener.ts";
import type { RunOptions } from "../support/run-process.ts";

let simulator: Simulator;
let evener: RunningEvener;
let folder: string;
/** A client that tells what it was started with. */
let client: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "evener-launcher-"));
  simulator = await startSimulator({ model: ["big-model", "other-model"], maxModelLen: 131_072 });
  evener = await startEvener({ engines: [simulator.url] });
  client = script("claude", 'printf "%s\\n" "$@"; env | grep -E "^(ANTHROPIC|CLAUDE)_" | sort; exit 23');
});

afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const launch = (args: string[], env: Record<string, string> = {}, options: Partial<RunOptions> = {}) =>
  evener.cli(["claude", ...args], { ...options, env: { EVENER_CLAUDE_BIN: client, ...env } });

describe("starting", () => {
  it("passes every argument and the exit code on, with the environment set", async () => {
    const args = ["-p", 'say "hi" $HOME', "--model", "sonnet", "--help", "--", "--settings"];
    const { code, stdout, stderr } = await launch(args, { ANTHROPIC_API_KEY: "sk-ant-mine" });
    expect(code).toBe(23);
    expect(stdout.split("\n")).toEqual(expect.arrayContaining(args));
    expect(stdout).toContain(`ANTHROPIC_BASE_URL=${evener.url}\n`);
    expect(stdout).toContain(`ANTHROPIC_AUTH_TOKEN=${evener.key}\n`);
    expect(stdout).toContain("ANTHROPIC_DEFAULT_OPUS_MODEL=big-model\n");
    expect(stdout).toContain("CLAUDE_CODE_MAX_CONTEXT_TOKENS=131072\n");
    expect(stdout).not.toContain("sk-ant-mine");
    expect(stderr).toBe("evener: your shell sets ANTHROPIC_API_KEY; left out for this session\n");
  });

  it("gives --help behind -- to the client, and shows its own without", async () => {
    const theirs = await launch(["--", "--help"]);
    expect(theirs.stdout.split("\n")).toContain("--help");
    const own = await launch(["--help"]);
    expect(own).toMatchObject({ code: 0, stderr: "" });
    expect(own.stdout).toContain("evener claude");
  });

  it("starts with the model that --model names", async () => {
    expect((await launch(["--model", "other-model"])).stdout).toContain("ANTHROPIC_MODEL=other-model\n");
    expect(await launch(["--model", "gpt-9"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: 'evener: no engine serves "gpt-9"; choose one of: big-model, other-model\n',
    });
  });

  it("keeps the key off the command line when it has to go into --settings, and removes the file at the end", async () => {
    const home = mkdtempSync(join(folder, "home-"));
    mkdirSync(join(home, ".claude"));
    writeFileSync(join(home, ".claude", "settings.json"), '{"env":{"ANTHROPIC_AUTH_TOKEN":"theirs"}}');
    const shows = script("shows-settings", 'echo "$2"; stat -c %a "$2"; cat "$2"');
    const { code, stdout } = await launch(["-p", "hi"], { HOME: home, EVENER_CLAUDE_BIN: shows });
    expect(code).toBe(0);
    const [path = "", mode, ...text] = stdout.split("\n");
    expect(mode).toBe("600");
    expect(JSON.parse(text.join("\n"))).toMatchObject({ env: { ANTHROPIC_AUTH_TOKEN: evener.key } });
    expect(() => statSync(path)).toThrow(/ENOENT/);
  });

  it("passes SIGINT to the client and ends as it ends", async () => {
    const waits = script("waits", "trap 'echo interrupted; exit 130' INT; echo ready; while :; do sleep 0.05; done");
    const { code, stdout } = await launch(
      [],
      { EVENER_CLAUDE_BIN: waits },
      {
        onStart: (child) => child.stdout?.once("data", () => child.kill("SIGINT")),
      },
    );
    expect({ code, stdout }).toEqual({ code: 130, stdout: "ready\ninterrupted\n" });
  });
});

describe("refusing, in one line and before the client starts", () => {
  const cases: [what: string, env: () => Record<string, string>, message: RegExp][] = [
    [
      "a gateway that is down",
      // Nobody listens there, and fetch does not refuse the port by itself, as it does many low ones.
      () => ({ EVENER_URL: "http://127.0.0.1:44", EVENER_KEY: "k" }),
      /no gateway answers at http:\/\/127\.0\.0\.1:44: connection refused; /,
    ],
    ["a key that is wrong", () => ({ EVENER_KEY: "sk-evener-wrong" }), /does not accept the key; /],
    [
      "something else than Evener",
      () => ({ EVENER_URL: simulator.url, EVENER_KEY: "k" }),
      /is not an Evener gateway; /,
    ],
    [
      "no gateway at all",
      () => ({ EVENER_DATA: join(folder, "nothing") }),
      /no gateway is running .*; start one with `evener up`/,
    ],
    [
      "a client that is not there",
      () => ({ EVENER_CLAUDE_BIN: "/nowhere/claude" }),
      /EVENER_CLAUDE_BIN is \/nowhere\/claude, /,
    ],
    [
      "no client on this machine",
      () => ({ EVENER_CLAUDE_BIN: "", PATH: "/nowhere" }),
      /Claude Code is not installed; install it with: npm install -g @anthropic-ai\/claude-code$/,
    ],
  ];

  it.each(cases)("%s", async (_what, env, message) => {
    const { code, stdout, stderr } = await launch(["-p", "hi"], env());
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^evener: .*\n$/);
    expect(stderr.trim()).toMatch(message);
  });

  it("an address without its key, as a usage error", async () => {
    const result = await runEvener(["claude"], {
      env: { ...cleanEnvironment(folder), EVENER_URL: "http://127.0.0.1:1" },
    });
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(/^evener: EVENER_URL is set, but EVENER_KEY is not; .*\n$/);
  });
});

describe("--print-env", () => {
  it("prints lines that a shell evaluates to the client's environment", async () => {
    const { code, stdout } = await launch(["--print-env"], { CLAUDE_CODE_USE_VERTEX: "1" });
    expect(code).toBe(0);
    expect(stdout).toContain(`export ANTHROPIC_BASE_URL=${evener.url}\n`);
    expect(stdout).toMatch(/unset CLAUDE_CODE_USE_VERTEX\n$/);
  });

  it("prints JSON for scripts", async () => {
    const { stdout } = await launch(["--print-env", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ set: { ANTHROPIC_AUTH_TOKEN: evener.key }, unset: [] });
  });
});

describe("--settings", () => {
  it("adds the env block to a settings file, for its owner only, and loses nothing", async () => {
    const path = join(folder, "settings.json");
    const theirs = { permissions: { deny: ["WebFetch"] }, env: { MY_VAR: "1", CLAUDE_CODE_MAX_OUTPUT_TOKENS: "4096" } };
    writeFileSync(path, JSON.stringify(theirs), { mode: 0o644 });
    expect(await launch(["--settings", path])).toMatchObject({ code: 0, stderr: "" });
    const written = JSON.parse(readFileSync(path, "utf8"));
    expect(written).toMatchObject(theirs);
    expect(written.env).toMatchObject({ ANTHROPIC_BASE_URL: evener.url, ANTHROPIC_AUTH_TOKEN: evener.key });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("writes the user's own file when none is named", async () => {
    const home = mkdtempSync(join(folder, "home-"));
    expect(await launch(["--settings"], { HOME: home })).toMatchObject({ code: 0 });
    const written = JSON.parse(readFileSync(join(home, ".claude", "settings.json"), "utf8"));
    expect(written.env).toMatchObject({ ANTHROPIC_BASE_URL: evener.url });
  });

  it("refuses a file that is not valid JSON and leaves it as it is", async () => {
    const path = join(folder, "broken.json");
    writeFileSync(path, '{ "env": { // mine\n');
    const { code, stderr } = await launch(["--settings", path]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `evener: ${path} is not valid JSON; mend it first, it was left as it is\n`,
    });
    expect(readFileSync(path, "utf8")).toBe('{ "env": { // mine\n');
  });
});
