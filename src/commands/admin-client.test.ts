import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { gatewayFilePath, writeGatewayFile } from "../config/gateway-file.ts";
import { findGateway } from "./admin-client.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "evener-admin-client-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function leaveFile(url = "http://127.0.0.1:4400"): void {
  writeGatewayFile(dataDir, {
    url,
    pid: 1,
    admin_key: "from-file",
    started_at: "2026-11-22T12:00:00Z",
    version: "0.1.0",
  });
}

const find = (env: Record<string, string> = {}) => findGateway({ EVENER_DATA: dataDir, ...env });

describe("findGateway", () => {
  it("takes the environment's gateway before the file's", () => {
    leaveFile();
    expect(find({ EVENER_URL: "https://gw.example/", EVENER_ADMIN_KEY: "k" })).toEqual({
      url: "https://gw.example",
      adminKey: "k",
      from: "EVENER_URL",
    });
  });

  it("takes what the gateway left in the data directory", () => {
    leaveFile();
    expect(find()).toEqual({ url: "http://127.0.0.1:4400", adminKey: "from-file", from: gatewayFilePath(dataDir) });
    expect(find({ EVENER_ADMIN_KEY: "k" })).toMatchObject({ url: "http://127.0.0.1:4400", adminKey: "k" });
  });

  it("gives the file's key to that gateway only", () => {
    leaveFile();
    expect(find({ EVENER_URL: "http://127.0.0.1:4400/" })).toMatchObject({ adminKey: "from-file" });
    expect(() => find({ EVENER_URL: "http://127.0.0.1:4401" })).toThrow(
      expect.objectContaining({ exitCode: 2, message: expect.stringContaining("EVENER_ADMIN_KEY is not") }),
    );
  });

  it("says what to do when there is none", () => {
    expect(() => find()).toThrow(
      expect.objectContaining({ exitCode: 1, message: expect.stringMatching(/^no gateway is running .*evener up/) }),
    );
  });

  it("says what is wrong with the file or the URL", () => {
    writeFileSync(gatewayFilePath(dataDir), "{");
    expect(() => find()).toThrow(/is not valid JSON/);
    expect(() => find({ EVENER_URL: "gw.example", EVENER_ADMIN_KEY: "k" })).toThrow(
      /EVENER_URL is not a URL: gw\.example/,
    );
  });
});
