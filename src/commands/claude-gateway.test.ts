import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GatewayFile, writeGatewayFile } from "../config/gateway-file.ts";
import { findClientAccess } from "./claude-gateway.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "evener-access-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const FILE: GatewayFile = {
  url: "http://127.0.0.1:4400",
  pid: 1,
  admin_key: "admin",
  client_key: "local-key",
  started_at: "2026-11-22T00:00:00.000Z",
  version: "0.1.0",
};

const find = (env: Record<string, string> = {}) => findClientAccess({ EVENER_DATA: dataDir, ...env });

describe("findClientAccess", () => {
  it("takes both from the environment, and needs no file then", () => {
    expect(find({ EVENER_URL: "https://gateway.example/", EVENER_KEY: "k" })).toEqual({
      url: "https://gateway.example",
      key: "k",
    });
  });

  it("takes what the gateway left in the data directory", () => {
    writeGatewayFile(dataDir, FILE);
    expect(find()).toEqual({ url: FILE.url, key: "local-key" });
    expect(find({ EVENER_KEY: "mine" })).toEqual({ url: FILE.url, key: "mine" });
    expect(find({ EVENER_URL: `${FILE.url}/` })).toEqual({ url: FILE.url, key: "local-key" });
  });

  it("never sends that gateway's key to another one", () => {
    writeGatewayFile(dataDir, FILE);
    expect(() => find({ EVENER_URL: "https://gateway.example" })).toThrow(/EVENER_KEY is not/);
  });

  it("says what is missing", () => {
    expect(() => find()).toThrow(/no gateway is running .*evener up/);
    expect(() => find({ EVENER_URL: "gateway" })).toThrow(/EVENER_URL is not a URL: gateway/);
    const { client_key: _none, ...served } = FILE;
    writeGatewayFile(dataDir, served);
    expect(() => find()).toThrow(/leaves no key for clients; .*evener key create/);
    writeFileSync(join(dataDir, "gateway.json"), "{");
    expect(() => find()).toThrow(/gateway\.json is not valid JSON/);
  });
});
