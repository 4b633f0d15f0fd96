/** A usage row is durable before its client can take the answer for complete: the gateway is killed at that very moment. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { startEvener } from "../support/evener.ts";
import { open } from "../support/http.ts";
import { usageRows } from "../support/usage.ts";

const STREAMS = 12;
const KILL_AFTER = 5;

let simulator: Simulator;
let folder: string;

beforeAll(async () => {
  simulator = await startSimulator({ model: "test-model" });
  folder = mkdtempSync(join(tmpdir(), "evener-durable-"));
});
afterAll(async () => {
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

it("has the row of every answer whose end arrived before a kill -9", async () => {
  const options = { engines: [simulator.url], dataDir: join(folder, "data") };
  const evener = await startEvener(options);
  const complete: string[] = [];
  const streams = Array.from({ length: STREAMS }, async (_, index) => {
    simulator.next({ text: "word ".repeat(20), delay: 2 + index });
    const { response } = await open(`${evener.url}/v1/messages`, {
      headers: { authorization: `Bearer ${evener.key}` },
      body: { model: "test-model", max_tokens: 100, stream: true, messages: [{ role: "user", content: "go" }] },
    });
    let text = "";
    response.setEncoding("utf8").on("data", (data: string) => {
      text += data;
      if (!text.includes("event: message_stop") || complete.includes(String(response.headers["request-id"]))) return;
      complete.push(String(response.headers["request-id"]));
      if (complete.length === KILL_AFTER) process.kill(evener.pid, "SIGKILL");
    });
    await new Promise((resolve) => response.once("close", resolve));
  });
  await Promise.allSettled(streams);
  await evener.stop();
  expect(complete.length).toBeGreaterThanOrEqual(KILL_AFTER);

  const again = await startEvener(options);
  try {
    const rows = new Map((await usageRows(again)).map((row) => [row.request_id, row]));
    for (const id of complete) {
      const generated = simulator.requests.find((request) => request.headers["x-request-id"] === id)?.completionTokens;
      expect(rows.get(id)).toMatchObject({ outcome: "ok", output: generated, counted_by: "engine" });
    }
  } finally {
    await again.stop();
  }
});
