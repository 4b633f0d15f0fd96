/** Tiny servers that answer as engines do, and an upstream to them; all are closed after each test. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";
import { createUpstream, type Upstream } from "../upstream.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

export function upstream(): Upstream {
  const made = createUpstream();
  cleanups.push(() => made.close());
  return made;
}

/** What is answered to `GET /path` and `POST /path`: JSON, text, or a function of the request's body; anything else is 404. */
export type Routes = Record<string, unknown>;

export async function fakeEngine(routes: Routes): Promise<{ url: string; port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    let body = "";
    req.setEncoding("utf8");
    req.on("data", (part: string) => (body += part));
    req.on("end", () => {
      const name = `${req.method} ${req.url}`;
      asked.push(name);
      const route = routes[name];
      const reply = (typeof route === "function" ? route(body) : route) as unknown;
      if (reply === undefined) return void res.writeHead(404).end(`{"detail":"Not Found"}`);
      const status = isReply(reply) ? reply.status : 200;
      const answer = isReply(reply) ? reply.body : reply;
      res.writeHead(status).end(typeof answer === "string" ? answer : JSON.stringify(answer));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, asked };
}

export const status = (code: number, body: unknown = "") => ({ status: code, body });

function isReply(value: unknown): value is { status: number; body: unknown } {
  return typeof value === "object" && value !== null && "status" in value && "body" in value;
}

export const list = (...data: object[]) => ({ object: "list", data });

/** As recorded from vLLM 0.32. */
export const VLLM: Routes = {
  "GET /v1/models": list({ id: "test-model", object: "model", created: 1_795_360_337, owned_by: "vllm", root: "models/smollm2", parent: null, max_model_len: 8_192 }),
  "GET /version": { version: "0.32.0" },
  "GET /health": "",
  "POST /tokenize": { count: 12, max_model_len: 8_192, tokens: [1, 2], token_strs: null },
};

/** After SGLang's own sources and documentation of native APIs. */
export const SGLANG: Routes = {
  "GET /v1/models": list({ id: "qwen", object: "model", created: 1, owned_by: "sglang", root: "qwen/qwen2.5-0.5b-instruct", parent: null, max_model_len: 32_768 }),
  "GET /server_info": { version: "0.5.9", context_length: null },
  "GET /get_model_info": { model_path: "qwen/qwen2.5-0.5b-instruct", tokenizer_path: "x", is_generation: true },
  "GET /health": "",
  "POST /tokenize": { tokens: [1, 2, 3], count: 3, max_model_len: 32_768 },
};

/** After llama.cpp's server documentation. */
export const LLAMA_CPP: Routes = {
  "GET /v1/models": {
    models: [{ name: "qwen3-8b", model: "qwen3-8b" }],
    ...list({ id: "qwen3-8b", aliases: [], object: "model", created: 1, owned_by: "llamacpp", meta: { n_vocab: 151_936, n_ctx: 40_960, n_ctx_train: 262_144 } }),
  },
  "GET /props": { default_generation_settings: { id: 0, n_ctx: 16_384 }, total_slots: 4, model_path: "/m.gguf", build_info: "b8681-abc" },
  "GET /health": { status: "ok" },
  "POST /tokenize": { tokens: [1, 2, 3, 4] },
};

/** After Ollama's API documentation. */
export const OLLAMA: Routes = {
  "GET /": "Ollama is running",
  "GET /v1/models": list(
    { id: "qwen3:8b", object: "model", created: 1, owned_by: "library" },
    { id: "llama3.2:latest", object: "model", created: 1, owned_by: "library" },
    { id: "all-minilm:latest", object: "model", created: 1, owned_by: "library" },
    { id: "mistral:latest", object: "model", created: 1, owned_by: "library" },
  ),
  "GET /api/version": { version: "0.17.1" },
  "GET /api/ps": { models: [{ name: "qwen3:8b", model: "qwen3:8b", context_length: 32_768 }] },
  "POST /api/show": (body: string) => {
    const { model } = JSON.parse(body) as { model: string };
    const info = { "general.architecture": "llama", "llama.context_length": 131_072 };
    if (model === "all-minilm:latest") return { capabilities: ["embedding"], model_info: info };
    const parameters = model === "llama3.2:latest" ? 'stop   "<|eot_id|>"\nnum_ctx                        16384' : "";
    return { parameters, capabilities: ["completion", "tools"], model_info: info };
  },
};

/** After LM Studio's REST API documentation. */
export const LM_STUDIO: Routes = {
  "GET /v1/models": list(
    { id: "qwen2-vl-7b", object: "model", owned_by: "organization_owner" },
    { id: "llama-3.1-8b", object: "model", owned_by: "organization_owner" },
    { id: "nomic-embed", object: "model", owned_by: "organization_owner" },
  ),
  "GET /api/v0/models": list(
    { id: "qwen2-vl-7b", object: "model", type: "vlm", arch: "qwen2_vl", state: "not-loaded", max_context_length: 32_768 },
    { id: "llama-3.1-8b", object: "model", type: "llm", arch: "llama", state: "loaded", max_context_length: 131_072, loaded_context_length: 8_000 },
    { id: "nomic-embed", object: "model", type: "embeddings", arch: "nomic-bert", state: "not-loaded", max_context_length: 2_048 },
  ),
};

/** Another gateway, such as this one. */
export const EVENER: Routes = {
  "GET /v1/models": list({ id: "test-model", object: "model", created: 1, owned_by: "evener" }),
  "GET /health": { status: "ok" },
};
