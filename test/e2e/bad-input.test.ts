/** Everything that a client can get wrong: each in the client's own error shape, with a request id, and never a stack. */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { type Answer, type Sent, send } from "../support/http.ts";

let simulator: Simulator;
let evener: RunningEvener;
/** A gateway whose only engine is not there. */
let orphan: RunningEvener;

beforeAll(async () => {
  simulator = await startSimulator({ model: ["test-model", "other-model"], maxModelLen: 4_096 });
  const gone = await startSimulator();
  await gone.close();
  [evener, orphan] = await Promise.all([
    startEvener({ engines: [simulator.url] }),
    startEvener({ engines: [gone.url] }),
  ]);
});
afterAll(async () => {
  await orphan?.stop();
  await evener?.stop();
  await simulator?.close();
});

const PATHS = { anthropic: "/v1/messages", openai: "/v1/chat/completions" } as const;
type Wire = keyof typeof PATHS;
const WIRES = Object.keys(PATHS) as Wire[];

const BODY = { model: "test-model", max_tokens: 10, messages: [{ role: "user", content: "hi" }] };

type Case = {
  what: string;
  send: (wire: Wire) => Sent & { to?: string; path?: string };
  status: number | Record<Wire, number>;
  /** The error's type on each wire. */
  type: Record<Wire, string>;
  headers?: Record<string, string | RegExp>;
  message: RegExp;
};

const bearer = (key: string = evener.key): Record<string, string> => ({ authorization: `Bearer ${key}` });
const INVALID = { anthropic: "invalid_request_error", openai: "invalid_request_error" };
const NEVER = { "x-should-retry": "false" };

const CASES: Case[] = [
  {
    what: "no key",
    send: () => ({ body: BODY }),
    status: 401,
    type: { anthropic: "authentication_error", openai: "invalid_request_error" },
    headers: NEVER,
    message: /no key was sent/,
  },
  {
    what: "an unknown key",
    send: () => ({ body: BODY, headers: bearer("sk-evener-unknown") }),
    status: 401,
    type: { anthropic: "authentication_error", openai: "invalid_request_error" },
    headers: NEVER,
    message: /key/,
  },
  {
    what: "two different credentials",
    send: () => ({ body: BODY, headers: { ...bearer(), "x-api-key": "sk-another" } }),
    status: 400,
    type: INVALID,
    headers: NEVER,
    message: /different keys/,
  },
  {
    what: "a body that is not JSON",
    send: () => ({ body: '{"model": "test-model", ', headers: bearer() }),
    status: 400,
    type: INVALID,
    headers: NEVER,
    message: /JSON/,
  },
  { what: "no body at all", send: () => ({ headers: bearer() }), status: 400, type: INVALID, message: /./ },
  { what: "a JSON list", send: () => ({ body: "[]", headers: bearer() }), status: 400, type: INVALID, message: /./ },
  {
    what: "messages of the wrong type",
    send: () => ({ body: { ...BODY, messages: "hi" }, headers: bearer() }),
    status: 400,
    type: INVALID,
    message: /messages/,
  },
  {
    what: "an unknown model",
    send: () => ({ body: { ...BODY, model: "gpt-9" }, headers: bearer() }),
    status: 404,
    type: { anthropic: "not_found_error", openai: "invalid_request_error" },
    headers: NEVER,
    message: /gpt-9.*test-model, other-model/,
  },
  {
    what: "a prompt beyond the window",
    send: () => ({
      body: { ...BODY, messages: [{ role: "user", content: "word ".repeat(6_000) }] },
      headers: bearer(),
    }),
    status: 400,
    type: INVALID,
    message: /prompt is too long: \d+ tokens > 4096 maximum|maximum context length/,
  },
  {
    what: "a body beyond the limit",
    send: () => ({ body: Buffer.alloc(33_554_433, 32), headers: bearer() }),
    status: 413,
    type: { anthropic: "request_too_large", openai: "invalid_request_error" },
    headers: NEVER,
    message: /large/,
  },
  {
    what: "an engine that is down",
    send: () => ({ body: BODY, to: orphan.url, headers: bearer(orphan.key) }),
    status: { anthropic: 529, openai: 503 },
    type: { anthropic: "overloaded_error", openai: "server_error" },
    headers: { "retry-after": /^\d+$/ },
    message: /engine/,
  },
  {
    what: "a method that the path does not have",
    send: (wire) => ({ method: "DELETE", path: PATHS[wire], headers: bearer() }),
    status: 405,
    type: INVALID,
    message: /POST/,
  },
];

/** The client's own way of saying who it is; only needed where a path belongs to neither wire. */
const SPEAKS: Record<Wire, Record<string, string>> = { anthropic: { "anthropic-version": "2023-06-01" }, openai: {} };

describe.each(WIRES)("in the shape of %s", (wire) => {
  it.each(CASES)("$what", async ({ send: sent, status, type, headers, message }) => {
    const { to, path, ...request } = sent(wire);
    const answer = await send((to ?? evener.url) + (path ?? PATHS[wire]), {
      ...request,
      headers: { ...SPEAKS[wire], ...request.headers },
    });
    expect(answer.status).toBe(typeof status === "number" ? status : status[wire]);
    expectError(answer, wire, type[wire], message);
    for (const [name, value] of Object.entries(headers ?? {})) expect(answer.headers[name]).toMatch(value);
  });

  it("a path that does not exist", async () => {
    const answer = await send(`${evener.url}/v1/nothing`, { body: BODY, headers: { ...SPEAKS[wire], ...bearer() } });
    expect(answer.status).toBe(404);
    expectError(answer, wire, { anthropic: "not_found_error", openai: "invalid_request_error" }[wire], /\/v1\/nothing/);
  });

  it("the same errors for a client that streams", async () => {
    const body = { ...BODY, model: "gpt-9", stream: true };
    const answer = await send(evener.url + PATHS[wire], { body, headers: { ...SPEAKS[wire], ...bearer() } });
    expect(answer.status).toBe(404);
    expectError(answer, wire, { anthropic: "not_found_error", openai: "invalid_request_error" }[wire], /gpt-9/);
  });
});

function expectError(answer: Answer, wire: Wire, type: string, message: RegExp): void {
  expect(answer.headers["content-type"]).toMatch(/^application\/json/);
  const id = answer.headers[wire === "anthropic" ? "request-id" : "x-request-id"];
  expect(id).toMatch(/^req_[\w-]{10,}$/);
  const body = JSON.parse(answer.text) as { error: { type: string; message: string; code?: string; param?: unknown } };
  expect(body).toEqual(envelope(wire, String(id)));
  expect(body.error.type).toBe(type);
  expect(body.error.message).toMatch(message);
  // No stack, no path of the machine, no key.
  expect(answer.text).not.toMatch(/\bat .+:\d+:\d+|\.[jt]s:\d+|node_modules|sk-(?!evener-\.\.\.)\w{8,}/);
}

/** Each client's own error shape, field by field. */
function envelope(wire: Wire, id: string): object {
  const text: unknown = expect.any(String);
  if (wire === "anthropic") return { type: "error", error: { type: text, message: text }, request_id: id };
  const textOrNull: unknown = expect.toSatisfy((value: unknown) => value === null || typeof value === "string");
  return { error: { type: text, message: text, code: textOrNull, param: textOrNull } };
}

it("count_tokens refuses in the same ways", async () => {
  const url = `${evener.url}/v1/messages/count_tokens`;
  const noKey = await send(url, { body: BODY });
  expect(noKey.status).toBe(401);
  expectError(noKey, "anthropic", "authentication_error", /no key/);
  const noModel = await send(url, { body: { ...BODY, model: "gpt-9" }, headers: bearer() });
  expect(noModel.status).toBe(404);
  expectError(noModel, "anthropic", "not_found_error", /test-model/);
});

it.each<[number, string, () => Record<string, string>]>([
  [401, "POST /v1/messages", () => ({})],
  [401, "POST /v1/messages/count_tokens", () => ({})],
  [400, "POST /v1/chat/completions", () => ({ ...bearer(), "content-encoding": "gzip" })],
  [413, "POST /v1/responses", () => ({ ...bearer(), "content-length": "40000000" })],
  [405, "PUT /v1/messages", () => bearer()],
  [404, "POST /v1/nothing", () => bearer()],
  [401, "POST /admin/v1/tenants", () => ({})],
  [401, "POST /v1/organizations/users", () => ({})],
  // Begun to be read, and given up.
  [413, "POST /admin/v1/tenants", () => ({ authorization: `Bearer ${evener.adminKey}`, "content-length": "3000000" })],
])("%d for %s reaches a client that sends all of a large body before it reads", async (status, line, more) => {
  const { hostname, port } = new URL(evener.url);
  const headers = { host: "x", connection: "close", "content-length": "30000000", ...more() };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.on("error", reject).on("close", () => resolve(text));
    socket.write(`${line} HTTP/1.1\r\n${head.join("")}\r\n`);
    socket.write(Buffer.alloc(Number(headers["content-length"]), 32), () => {
      socket.setEncoding("utf8").on("data", (data) => (text += data));
    });
  });
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} .*"error"`, "s"));
});

it("survives what is not HTTP, and what announces more than it sends", async () => {
  const { hostname, port } = new URL(evener.url);
  const talk = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.write(text));
      let answer = "";
      socket.setEncoding("utf8").on("data", (data) => (answer += data));
      socket.on("close", () => resolve(answer));
      socket.on("error", () => resolve(answer));
      if (text.includes("content-length")) setTimeout(() => socket.destroy(), 100);
    });
  expect(await talk("\0\x01\x02 garbage\r\n\r\n")).toMatch(/^(HTTP\/1\.1 400|$)/);
  await talk(
    `POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${evener.key}\r\ncontent-length: 1000\r\n\r\n{"model"`,
  );
  const { status } = await send(evener.url + PATHS.anthropic, { body: BODY, headers: bearer() });
  expect(status).toBe(200);
});

it("writes neither keys nor prompts into its log", async () => {
  const secret = "a-prompt-that-nobody-may-read";
  await send(evener.url + PATHS.openai, {
    body: { ...BODY, messages: [{ role: "user", content: secret }] },
    headers: bearer(),
  });
  await send(evener.url + PATHS.openai, {
    body: `{"x": "${secret}`,
    headers: bearer("sk-evener-secret-key-0123456789"),
  });
  expect(evener.log()).not.toContain(secret);
  expect(evener.log()).not.toContain("sk-evener-secret-key");
  expect(evener.log()).not.toContain(evener.key);
  expect(evener.log()).not.toContain(evener.adminKey);
});
