import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "./load.ts";

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "evener-config-"));
});
afterEach(() => rmSync(cwd, { recursive: true }));

const load = (options: Partial<Parameters<typeof loadConfig>[0]> = {}) =>
  loadConfig({ flags: {}, env: {}, cwd, ...options });

describe("loadConfig", () => {
  test("needs nothing", () => {
    const { config, file } = load();
    expect(file).toBeUndefined();
    expect(config).toMatchObject({ host: "127.0.0.1", port: 4400, engines: [] });
  });

  test("takes flags over environment over file", () => {
    writeFileSync(join(cwd, "evener.yaml"), "port: 1\nhost: 0.0.0.0\nengines:\n  - url: http://file:1\n");
    const env = { EVENER_PORT: "2", EVENER_ENGINES: "http://a:1, http://b:2" };
    const { config } = load({ env, flags: { port: 3 } });
    expect(config.port).toBe(3);
    expect(config.host).toBe("0.0.0.0");
    expect(config.engines.map((engine) => engine.url)).toEqual(["http://a:1", "http://b:2"]);
  });

  test("merges a section by its fields", () => {
    writeFileSync(join(cwd, "evener.yaml"), "log:\n  format: json\n  level: warn\n");
    expect(load({ env: { EVENER_LOG_LEVEL: "debug" } }).config.log).toEqual({ format: "json", level: "debug" });
    expect(load({ env: { EVENER_LOG_FORMAT: "text" } }).config.log).toEqual({ format: "text", level: "warn" });
    const flags = { log: { level: "error" as const } };
    expect(load({ flags, env: { EVENER_LOG_LEVEL: "debug" } }).config.log).toEqual({ format: "json", level: "error" });
  });

  test.each([
    ["engines:\n  - url: nonsense\n", /engines\.0\.url: must be an http/],
    ["prot: 4400\n", /prot/],
    ["port: [\n", /evener\.yaml:\d+:\d+/],
    ["- a\n", /must be a mapping/],
    ["port: high\n", /port: .*number/],
    ["port: *foo\n", /evener\.yaml: .*alias.*foo/],
    ["log:\n  level: loud\n", /log\.level: must be one of debug, info, warn, error$/],
    ["models:\n  a:\n    vison: true\n", /models\.a: there is no setting named "vison"$/],
    ["models:\n  a:\n    vision: maybe\n", /models\.a\.vision: must be true or false$/],
    ["models:\n  a:\n    context_window: -5\n", /models\.a\.context_window: must be at least 1$/],
    ["engines:\n  - url: http://a:1\n    cost_per_hour: 2.49\n", /cost_per_hour: must be text; put it in quotes$/],
    ["invoices:\n  address: a street\n", /invoices\.address: must be a list$/],
  ])("names the place of a mistake: %j", (text, message) => {
    writeFileSync(join(cwd, "evener.yaml"), text);
    expect(() => load()).toThrow(ConfigError);
    expect(() => load()).toThrow(message);
  });

  test("names a directory that is no file", () => {
    expect(() => load({ configFile: "." })).toThrow(ConfigError);
    expect(() => load({ configFile: "." })).toThrow(`cannot read the configuration ${cwd}: it is a directory`);
  });

  test.each([
    [{ EVENER_PORT: "high" }, /^EVENER_PORT: must be a whole number from 0 to 65535$/],
    [{ EVENER_PORT: "70000" }, /^EVENER_PORT: .*65535/],
    [{ EVENER_ENGINES: "localhost:8000" }, /^EVENER_ENGINES: must be an http/],
    [{ EVENER_LOG_LEVEL: "loud" }, /^EVENER_LOG_LEVEL: .*debug/],
    [{ DATABASE_URL: "mysql://x" }, /^DATABASE_URL: must be a postgres/],
    [{ EVENER_CONFIG: "missing.yaml" }, /there is no configuration file/],
  ])("checks the environment: %j", (env, message) => {
    expect(() => load({ env })).toThrow(message);
  });
});
