/** Bodies of administrators' requests on their way through real HTTP: none, in chunks, too large. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { type Answer, send } from "../support/http.ts";

let simulator: Simulator;
let evener: RunningEvener;

beforeAll(async () => {
  simulator = await startSimulator({});
  evener = await startEvener({ engines: [simulator.url] });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});

const headers = () => ({ "x-api-key": evener.adminKey });
const admin = (path: string, body?: object): Promise<Answer> =>
  send(evener.url + path, { headers: headers(), ...(body !== undefined && { body }) });
const newKey = async (tenant: string) =>
  JSON.parse((await admin("/admin/v1/keys", { tenant })).text) as { id: string; tenant_id: string };

/** Without content-length, in these pieces. */
async function inChunks(path: string, pieces: readonly string[]): Promise<{ status: number; text: string }> {
  const request = httpRequest(evener.url + path, { method: "POST", agent: false, headers: headers() });
  const answered = once(request, "response");
  for (const piece of pieces) request.write(piece);
  request.end();
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode, text: Buffer.concat(chunks).toString("utf8") };
}

it("a spend limit is deleted by the official SDK", async () => {
  const { spendLimits } = new Anthropic({
    apiKey: evener.adminKey,
    authToken: null,
    baseURL: evener.url,
    maxRetries: 0,
  }).beta.organization;
  const { tenant_id } = await newKey("limited");
  const made = await spendLimits.set({ scope: { type: "workspace", workspace_id: tenant_id }, amount: "500" });
  expect(await spendLimits.delete(made.id)).toEqual({ id: made.id, type: "spend_limit_deleted" });
  await expect(spendLimits.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
});

/** As `curl -X POST` without a body: neither a length nor chunks are declared, which node:http and fetch always do. */
async function bare(path: string): Promise<string> {
  const { hostname, port } = new URL(evener.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${hostname}\r\nx-api-key: ${evener.adminKey}\r\nConnection: close\r\n\r\n`,
  );
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk as string;
  return text.split("\r\n", 1)[0] ?? "";
}

it("a budget is removed, a key revoked and a workspace archived without a body, declared or not", async () => {
  for (const post of [bare, async (path: string) => `HTTP/1.1 ${(await admin(path)).status} OK`]) {
    const { id, tenant_id } = await newKey(post.name || "declared");
    const { text } = await admin("/admin/v1/budgets", { tenant: tenant_id, period: "day", amount_usd: "1" });
    const budget = JSON.parse(text) as { id: string };
    expect(await post(`/admin/v1/budgets/${budget.id}/remove`)).toBe("HTTP/1.1 200 OK");
    expect(await post(`/admin/v1/keys/${id}/revoke`)).toBe("HTTP/1.1 200 OK");
    expect(await post(`/v1/organizations/workspaces/${tenant_id}/archive`)).toBe("HTTP/1.1 200 OK");
  }
});

it.each(["/admin/v1/tenants", "/v1/organizations/workspaces"])("a body in chunks is read: %s", async (path) => {
  const name = `chunks-${path.length}`;
  const made = await inChunks(path, ['{"na', `me":"${name}`, '"}']);
  expect(made.status).toBeLessThan(300);
  expect(JSON.parse(made.text)).toMatchObject({ name });
});

it.each(["/admin/v1/tenants", "/v1/organizations/workspaces"])(
  "what is too large is refused, with its length and without: %s",
  async (path) => {
    const body = { name: "x".repeat(70_000) };
    const text = JSON.stringify(body);
    expect(await admin(path, body)).toMatchObject({ status: 413 });
    expect(await inChunks(path, [text.slice(0, 40_000), text.slice(40_000)])).toMatchObject({ status: 413 });
    // As much as nobody would send by mistake: the answer comes all the same.
    expect(await inChunks(path, Array(200).fill(text))).toMatchObject({ status: 413 });
  },
);

it("no body where one is needed is no valid JSON, not a failure", async () => {
  expect(await admin("/admin/v1/tenants")).toMatchObject({ status: 400 });
  expect(await admin("/v1/organizations/workspaces")).toMatchObject({ status: 400 });
});
