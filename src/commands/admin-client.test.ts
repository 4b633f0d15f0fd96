import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { gatewayFilePath, writeGatewayFile } from "../config/gateway-file.ts";
import { NoAnswer, adminClient, findGateway } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";

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

describe("adminClient", () => {
  const answers = new Map<string, ServerResponse>();
  let server: Server;
  beforeEach(async () => {
    answers.clear();
    server = createServer((incoming, answer) => answers.set(incoming.url ?? "", answer)).listen(0, "127.0.0.1");
    await once(server, "listening");
    leaveFile(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
    server.closeAllConnections();
    server.close();
  });

  const ask = (patient: boolean): Promise<string> =>
    adminClient({ env: { EVENER_DATA: dataDir }, patient })
      .text("/slow")
      .catch((error: Error) => error.message);
  const asked = async (path: string): Promise<ServerResponse | undefined> => {
    while (!answers.has(path)) await turn();
    return answers.get(path);
  };

  it("gives up after half a minute", async () => {
    const outcome = ask(false);
    await asked("/admin/v1/slow");
    vi.advanceTimersByTime(30_000);
    expect(await outcome).toMatch(/^no gateway answers at .*: no answer within 30 s; start one with `evener up`$/);
  });

  it("waits as long as it takes when it is patient and the gateway is there", async () => {
    const outcome = ask(true);
    (await asked("/health"))?.end("{}");
    const slow = await asked("/admin/v1/slow");
    vi.advanceTimersByTime(3_600_000);
    slow?.end("done");
    expect(await outcome).toBe("done");
  });

  it("is patient with no gateway that does not answer at all", async () => {
    const outcome = ask(true);
    await asked("/health");
    vi.advanceTimersByTime(10_000);
    expect(await outcome).toMatch(/^no gateway answers at .*: no answer within 10 s/);
    expect(answers.has("/admin/v1/slow")).toBe(false);
  });

  it("tells an answer that was lost from a request that was never sent", async () => {
    const post = (url: string): Promise<unknown> => {
      leaveFile(url);
      const client = adminClient({ env: { EVENER_DATA: dataDir } });
      return client.post("/credits", z.unknown(), {}, "transfer-8").catch((error: unknown) => error);
    };
    const { url } = JSON.parse(readFileSync(gatewayFilePath(dataDir), "utf8")) as { url: string };
    const lost = post(url);
    const answer = await asked("/admin/v1/credits");
    expect(answer?.req.headers["idempotency-key"]).toBe("transfer-8");
    answer?.destroy();
    expect(await lost).toBeInstanceOf(NoAnswer);
    server.close();
    const refused = await post(url);
    expect(refused).toBeInstanceOf(CliError);
    expect(refused).not.toBeInstanceOf(NoAnswer);
  });
});
