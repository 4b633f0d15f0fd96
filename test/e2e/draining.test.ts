/** What a gateway that is told to stop does with the requests that it has accepted. */
import http from "node:http";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { send } from "../support/simulator.ts";
import { usageRows } from "../support/usage.ts";
import { waitUntil } from "../support/wait-until.ts";
import { ask } from "../support/wire-gateway.ts";

let simulator: Simulator;
let folder: string;
let evener: RunningEvener;

beforeAll(async () => {
  simulator = await startSimulator({ model: "test-model" });
  folder = mkdtempSync(join(tmpdir(), "evener-draining-"));
});
afterEach(() => evener?.stop());
afterAll(async () => {
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(drainMs: number): Promise<RunningEvener> {
  const file = join(folder, "evener.yaml");
  writeFileSync(file, JSON.stringify({ timeouts: { drain_ms: drainMs } }));
  evener = await startEvener({ engines: [simulator.url], dataDir: join(folder, "data"), args: ["--config", file] });
  return evener;
}

const PATHS = ["/v1/messages", "/v1/chat/completions"];

it("answers whole what was still being sent when it was told to stop", async () => {
  const { url, key, pid } = await start(30_000);
  simulator.next({ text: "word ".repeat(60), delay: 25 });
  const body = JSON.stringify(ask({ stream: true }));
  const request = http.request(`${url}/v1/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-length": body.length },
  });
  request.write(body.slice(0, 20));
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.kill(pid, "SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 200));
  request.end(body.slice(20));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
  expect([response.statusCode, text]).toEqual([200, expect.stringContaining("event: message_stop")]);
});

it.each(PATHS)("%s: tells a client whose answer it ends itself, and writes down why", async (path) => {
  const { url, key, pid } = await start(300);
  const headers = { authorization: `Bearer ${key}` };
  const before = simulator.requests.length;
  simulator.next({ text: "word ".repeat(2_000), delay: 20 }, { text: "word ".repeat(2_000), delay: 20 });
  const streamed = send(url + path, { body: ask({ stream: true, max_tokens: 5_000 }), headers });
  await waitUntil("the first words", () => streamed.received().text.includes("word"));
  const whole = send(url + path, { body: ask({ max_tokens: 5_000 }), headers });
  await waitUntil("the second request", () => simulator.requests.length >= before + 2);
  process.kill(pid, "SIGTERM");

  const [cut, refused] = await Promise.all([streamed.answer, whole.answer]);
  expect([cut.status, cut.end, cut.text]).toEqual([200, "cut", expect.stringContaining("the gateway was stopped")]);
  expect([refused.status, refused.text]).toEqual([503, expect.stringContaining("the gateway was stopped")]);

  const again = await start(300);
  const ids = new Set(
    [cut, refused].map(({ headers: sent }) => sent.find(([name]) => name.toLowerCase() === "request-id")?.[1]),
  );
  const rows = (await usageRows(again)).filter((row) => ids.has(row.request_id));
  expect(rows.map(({ outcome, error_code }) => [outcome, error_code])).toEqual([
    ["error", "shutting_down"],
    ["error", "shutting_down"],
  ]);
});
