/** Every answer carries a request id, whatever route it is from and however it ends: it is what people give when they ask for help. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import type { RunningEvener } from "../support/evener.ts";
import { startWithConfig } from "../support/wire-gateway.ts";
import { type Sent, send } from "../support/http.ts";

let simulator: Simulator;
let evener: RunningEvener;

beforeAll(async () => {
  simulator = await startSimulator({ model: "test-model" });
  evener = await startWithConfig(simulator.url, { limits: { body_bytes: 100_000 } });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});

const CHAT = { model: "test-model", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
const ANTHROPIC = { "anthropic-version": "2023-06-01" };
const tenant = (): Record<string, string> => ({ authorization: `Bearer ${evener.key}` });
const admin = (): Record<string, string> => ({ "x-api-key": evener.adminKey });
const get = (headers: Record<string, string> = {}): Sent => ({ method: "GET", headers });
const post = (body: Sent["body"], headers: Record<string, string> = {}): Sent => ({
  ...(body !== undefined && { body }),
  headers,
});

const CASES: [status: number, path: string, sent: () => Sent][] = [
  [200, "/", () => get()],
  [200, "/", () => ({ method: "HEAD" })],
  [200, "/health", () => get()],
  [200, "/ready", () => get()],
  [200, "/metrics", () => get()],
  [200, "/v1/models", () => get(tenant())],
  [200, "/v1/models", () => get({ ...tenant(), ...ANTHROPIC })],
  [200, "/v1/models/test-model", () => get({ ...tenant(), ...ANTHROPIC })],
  [404, "/v1/models/none", () => get({ ...tenant(), ...ANTHROPIC })],
  [404, "/v1/models/none", () => get(tenant())],
  [401, "/v1/models", () => get()],
  [401, "/v1/models", () => get({ "x-api-key": "ev-wrong" })],
  [400, "/v1/models?limit=0", () => get({ ...tenant(), ...ANTHROPIC })],
  [200, "/v1/evener/launch", () => get(tenant())],
  [405, "/v1/messages", () => get(tenant())],
  [404, "/nothing", () => get()],
  [404, "/v1/nothing", () => get(tenant())],
  [200, "/v1/messages", () => post(CHAT, tenant())],
  [200, "/v1/messages", () => post({ ...CHAT, stream: true }, tenant())],
  [400, "/v1/messages", () => post("{", tenant())],
  [401, "/v1/messages", () => post(CHAT)],
  [413, "/v1/messages", () => post("x".repeat(100_001), tenant())],
  [200, "/v1/messages/count_tokens", () => post(CHAT, tenant())],
  [400, "/v1/messages/count_tokens", () => post("{", tenant())],
  [404, "/v1/messages/count_tokens", () => post({ ...CHAT, model: "none" }, tenant())],
  [200, "/v1/chat/completions", () => post(CHAT, tenant())],
  [200, "/v1/chat/completions", () => post({ ...CHAT, stream: true }, tenant())],
  [400, "/v1/chat/completions", () => post("{", tenant())],
  [401, "/v1/chat/completions", () => post(CHAT)],
  [200, "/v1/responses", () => post({ model: "test-model", input: "hi" }, tenant())],
  [404, "/v1/responses", () => post({ model: "none", input: "hi" }, tenant())],
  [200, "/admin/v1/keys", () => get(admin())],
  [401, "/admin/v1/keys", () => get()],
  [400, "/admin/v1/keys", () => post("{", admin())],
  [404, "/admin/v1/nothing", () => get(admin())],
  [404, "/admin/nothing", () => get(admin())],
  [200, "/admin/openapi.json", () => get()],
  [200, "/v1/organizations/workspaces", () => get(admin())],
  [403, "/v1/organizations/workspaces", () => get(tenant())],
  [404, "/v1/organizations/nothing", () => get(admin())],
  [200, "/api/oauth/usage", () => get(tenant())],
  [401, "/api/oauth/usage", () => get()],
];

describe("a request id is on", () => {
  const seen = new Set<string>();

  it.each(CASES)("%i %s", async (status, path, sent) => {
    const answer = await send(evener.url + path, sent());
    const id = answer.headers["request-id"]?.toString() ?? "";
    expect([answer.status, id], answer.text).toEqual([status, expect.stringMatching(/^req_[\w-]{24}$/)]);
    expect(seen.has(id)).toBe(false);
    seen.add(id);
    if (status < 400) return;
    const body = JSON.parse(answer.text) as { request_id?: string; error: { request_id?: string } };
    const told = body.request_id ?? body.error.request_id;
    if (told === undefined) expect(answer.headers["x-request-id"]).toBe(id);
    else expect(told).toBe(id);
  });
});
