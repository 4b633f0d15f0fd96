import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type GatewayFile,
  defaultDataDir,
  gatewayFilePath,
  readGatewayFile,
  removeGatewayFile,
  writeGatewayFile,
} from "./gateway-file.ts";

const FILE: GatewayFile = {
  url: "http://127.0.0.1:4400",
  pid: 4242,
  admin_key: "ev-admin-x",
  client_key: "ev-x",
  started_at: "2026-11-22T12:00:00.000Z",
  version: "0.1.0",
};

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "evener-gateway-file-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

describe("gateway.json", () => {
  it("is read as it was written, by its owner alone, and leaves nothing beside it", () => {
    const nested = join(dataDir, "not", "there", "yet");
    writeGatewayFile(nested, FILE);
    expect(readGatewayFile(nested)).toEqual(FILE);
    expect(statSync(gatewayFilePath(nested)).mode & 0o777).toBe(0o600);
    expect(statSync(nested).mode & 0o777).toBe(0o700);
    expect(readdirSync(nested)).toEqual(["gateway.json"]);
  });

  it("is written with mode 0600 over one that was open to all", () => {
    writeFileSync(gatewayFilePath(dataDir), "{}");
    chmodSync(gatewayFilePath(dataDir), 0o644);
    writeGatewayFile(dataDir, FILE);
    expect(statSync(gatewayFilePath(dataDir)).mode & 0o777).toBe(0o600);
  });

  it("may be without a client key", () => {
    const { client_key: _unused, ...rest } = FILE;
    writeGatewayFile(dataDir, rest);
    expect(readGatewayFile(dataDir)).toEqual(rest);
  });

  it("may be missing", () => {
    expect(readGatewayFile(dataDir)).toBeUndefined();
  });

  it.each([
    ["{", /is not valid JSON/],
    ["[]", /has no valid content/],
    [JSON.stringify({ ...FILE, url: "127.0.0.1:4400" }), /has no valid url/],
    [JSON.stringify({ ...FILE, admin_key: "" }), /has no valid admin_key/],
  ])("is refused when it holds %s", (text, message) => {
    writeFileSync(gatewayFilePath(dataDir), text);
    expect(() => readGatewayFile(dataDir)).toThrow(message);
  });

  it("is removed by the gateway that wrote it, and by no other", () => {
    writeGatewayFile(dataDir, FILE);
    removeGatewayFile(dataDir, 1);
    expect(existsSync(gatewayFilePath(dataDir))).toBe(true);
    removeGatewayFile(dataDir, FILE.pid);
    expect(existsSync(gatewayFilePath(dataDir))).toBe(false);
    removeGatewayFile(dataDir, FILE.pid);
  });
});

describe("defaultDataDir", () => {
  it("is EVENER_DATA, made absolute, else ~/.evener", () => {
    expect(defaultDataDir({})).toBe(join(homedir(), ".evener"));
    expect(defaultDataDir({ EVENER_DATA: "" })).toBe(join(homedir(), ".evener"));
    expect(defaultDataDir({ EVENER_DATA: "/srv/evener" })).toBe("/srv/evener");
    expect(defaultDataDir({ EVENER_DATA: "~/x" })).toBe(join(homedir(), "x"));
    expect(defaultDataDir({ EVENER_DATA: "x" })).toBe(join(process.cwd(), "x"));
  });
});
