/** What a key's limits do to its requests, on every route and wire: models that it may not use, and its expiry. */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import type { RunningEvener } from "../support/evener.ts";
import { type Answer, send } from "../support/http.ts";
import { startWithConfig } from "../support/wire-gateway.ts";

let simulator: Simulator;
let evener: RunningEvener;
/** May use `small-model` alone. */
let limited: string;

beforeAll(async () => {
  simulator = await startSimulator({ model: ["big-model", "small-model"], maxModelLen: 4_096 });
  evener = await startWithConfig(simulator.url, {
    families: { default: "big-model", haiku: "small-model" },
    aliases: { tiny: "small-model" },
  });
  limited = await newKey({ models: ["small-model"] });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});

type Body = Record<string, unknown>;

async function admin(path: string, body: Body): Promise<Body> {
  const headers = { "x-api-key": evener.adminKey };
  const { status, text } = await send(`${evener.url}/admin/v1${path}`, { body, headers });
  expect(status, text).toBeLessThan(300);
  return JSON.parse(text) as Body;
}

async function newKey(limits: Body): Promise<string> {
  return String((await admin("/keys", { tenant: "limits", ...limits }))["key"]);
}

function ask(path: string, key: string, body?: Body, headers: Record<string, string> = {}): Promise<Answer> {
  const sent = { headers: { authorization: `Bearer ${key}`, ...headers } };
  return send(evener.url + path, body === undefined ? { ...sent, method: "GET" } : { ...sent, body });
}

function chat(model: string): Body {
  return { model, max_tokens: 8, messages: [{ role: "user", content: "hi" }] };
}

const ANTHROPIC = { "anthropic-version": "2023-06-01" };
const REFUSED = "this key may not use big-model; it may use small-model";

/** Every name under which the big model can be meant, and every way to ask for it. */
const NAMES = ["big-model", "claude-big-model", "claude-opus-4-6", "opus", "big-model[1m]"];
const ROUTES: [path: string, body: (model: string) => Body, headers: Record<string, string>][] = [
  ["/v1/messages", chat, ANTHROPIC],
  ["/v1/messages", (model) => ({ ...chat(model), stream: true }), ANTHROPIC],
  ["/v1/messages/count_tokens", chat, ANTHROPIC],
  ["/v1/chat/completions", chat, {}],
  ["/v1/chat/completions", (model) => ({ ...chat(model), stream: true }), {}],
  ["/v1/responses", (model) => ({ model, input: "hi" }), {}],
];

describe("a key with a list of models", () => {
  it.each(ROUTES)("is refused others on %s, whatever they are called", async (path, body, headers) => {
    const before = simulator.requests.length;
    for (const name of NAMES) {
      const answer = await ask(path, limited, body(name), headers);
      expect([answer.status, header(answer, "x-should-retry")], name).toEqual([403, "false"]);
      expect(JSON.parse(answer.text)).toEqual(
        path.startsWith("/v1/messages")
          ? {
              type: "error",
              error: { type: "permission_error", message: REFUSED },
              request_id: header(answer, "request-id"),
            }
          : {
              error: { message: REFUSED, type: "invalid_request_error", param: "model", code: "model_not_allowed" },
            },
      );
    }
    expect(simulator.requests).toHaveLength(before);
  });

  it.each(ROUTES)("gets its own on %s, whatever they are called", async (path, body, headers) => {
    for (const name of ["small-model", "tiny", "claude-haiku-4-5", "claude-small-model"])
      expect((await ask(path, limited, body(name), headers)).status, name).toBe(200);
  });

  it("sees and starts clients on no others", async () => {
    const ids = async (headers: Record<string, string>): Promise<string[]> => {
      const { text } = await ask("/v1/models", limited, undefined, headers);
      return (JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id);
    };
    expect(await ids({})).toEqual(["small-model"]);
    expect(await ids(ANTHROPIC)).toEqual(["small-model", "claude-small-model"]);
    expect((await ask("/v1/models/tiny", limited)).status).toBe(200);
    const hidden = await ask("/v1/models/big-model", limited, undefined, ANTHROPIC);
    expect([hidden.status, hidden.text]).toEqual([403, expect.stringContaining(REFUSED)]);
    const unknown = await ask("/v1/messages", limited, chat("gpt-9"), ANTHROPIC);
    expect([unknown.status, unknown.text]).toEqual([404, expect.stringContaining('served models: small-model"')]);
    const launch = JSON.parse((await ask("/v1/evener/launch", limited)).text) as Body;
    expect(launch).toMatchObject({
      models: [{ id: "small-model" }],
      families: { opus: "small-model", sonnet: "small-model", haiku: "small-model", default: "small-model" },
    });
  });

  it("raises the official SDKs' own errors", async () => {
    const anthropic = new Anthropic({ baseURL: evener.url, authToken: limited, apiKey: null });
    const openai = new OpenAI({ baseURL: `${evener.url}/v1`, apiKey: limited });
    const messages = [{ role: "user" as const, content: "hi" }];
    await expect(anthropic.messages.create({ model: "big-model", max_tokens: 8, messages })).rejects.toBeInstanceOf(
      Anthropic.PermissionDeniedError,
    );
    await expect(openai.chat.completions.create({ model: "big-model", messages })).rejects.toMatchObject({
      status: 403,
      code: "model_not_allowed",
      param: "model",
    });
  });

  it("may use none while no engine serves one of its models, and is told so", async () => {
    const key = await newKey({ models: ["elsewhere"] });
    const answer = await ask("/v1/messages", key, chat("gpt-9"), ANTHROPIC);
    expect([answer.status, answer.text]).toEqual([404, expect.stringContaining("none that this key may use")]);
    expect(JSON.parse((await ask("/v1/models", key)).text)).toEqual({ object: "list", data: [] });
  });

  it("may use more as soon as an administrator says so", async () => {
    const made = await admin("/keys", { tenant: "limits", models: ["small-model"] });
    const key = String(made["key"]);
    expect((await ask("/v1/messages", key, chat("big-model"), ANTHROPIC)).status).toBe(403);
    await admin(`/keys/${String(made["id"])}`, { models: null });
    expect((await ask("/v1/messages", key, chat("big-model"), ANTHROPIC)).status).toBe(200);
    await admin(`/keys/${String(made["id"])}`, { models: ["small-model"] });
    expect((await ask("/v1/messages", key, chat("big-model"), ANTHROPIC)).status).toBe(403);
  });
});

describe("an expired key", () => {
  it("is refused from its time on, on every route, in the client's shape and for good", async () => {
    const at = Date.now() + 1_500;
    const key = await newKey({ expires_at: new Date(at).toISOString() });
    expect((await ask("/v1/messages", key, chat("small-model"), ANTHROPIC)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, at - Date.now() + 5));
    const message = `this key expired on ${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC; ask for a new one`;
    for (const [path, body, headers] of ROUTES) {
      const answer = await ask(path, key, body("small-model"), headers);
      expect([answer.status, header(answer, "x-should-retry")], path).toEqual([401, "false"]);
      const { error } = JSON.parse(answer.text) as { error: Body };
      expect(error).toMatchObject(
        path.startsWith("/v1/messages")
          ? { type: "authentication_error", message }
          : { type: "invalid_request_error", code: "invalid_api_key", message },
      );
    }
    expect((await ask("/v1/models", key)).status).toBe(401);
  });
});

function header(answer: Answer, name: string): string | undefined {
  return answer.headers[name]?.toString();
}
