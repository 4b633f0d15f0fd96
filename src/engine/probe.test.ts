import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  EVENER,
  fakeEngine,
  list,
  LLAMA_CPP,
  LM_STUDIO,
  OLLAMA,
  type Routes,
  SGLANG,
  status,
  upstream,
  VLLM,
} from "./__fixtures__/fake-engine.ts";
import { probeEngine } from "./probe.ts";

const probe = async (routes: Routes) => probeEngine(upstream(), await fakeEngine(routes));

describe("probeEngine", () => {
  it.each<[string, Routes, unknown]>([
    [
      "vLLM",
      VLLM,
      {
        kind: "vllm",
        version: "0.32.0",
        canTokenize: true,
        models: [{ id: "test-model", contextWindow: 8_192, root: "models/smollm2" }],
      },
    ],
    [
      "SGLang",
      SGLANG,
      {
        kind: "sglang",
        version: "0.5.9",
        canTokenize: true,
        models: [{ id: "qwen", contextWindow: 32_768, root: "qwen/qwen2.5-0.5b-instruct" }],
      },
    ],
    [
      "llama.cpp",
      LLAMA_CPP,
      {
        kind: "llama.cpp",
        version: "b8681-abc",
        canTokenize: true,
        models: [{ id: "qwen3-8b", contextWindow: 40_960 }],
      },
    ],
    [
      "Ollama",
      OLLAMA,
      {
        kind: "ollama",
        version: "0.17.1",
        canTokenize: false,
        models: [
          { id: "qwen3:8b", contextWindow: 32_768 },
          { id: "llama3.2:latest", contextWindow: 16_384 },
          { id: "mistral:latest" },
        ],
      },
    ],
    [
      "LM Studio",
      LM_STUDIO,
      {
        kind: "lm-studio",
        canTokenize: false,
        models: [{ id: "qwen2-vl-7b" }, { id: "llama-3.1-8b", contextWindow: 8_000 }],
      },
    ],
    [
      "any other server",
      { "GET /v1/models": list({ id: "a", owned_by: "me", context_length: 4_096 }, { id: "b" }, { no: "id" }) },
      { kind: "openai-compatible", canTokenize: false, models: [{ id: "a", contextWindow: 4_096 }, { id: "b" }] },
    ],
    ["another gateway", EVENER, { kind: "openai-compatible", canTokenize: false, models: [{ id: "test-model" }] }],
    [
      "Ollama without a model",
      { ...OLLAMA, "GET /v1/models": { object: "list", data: [] } },
      { kind: "ollama", version: "0.17.1", canTokenize: false, models: [] },
    ],
  ])("recognises %s", async (_name, routes, expected) => {
    expect(await probe(routes)).toEqual(expected);
  });

  it("recognises llama.cpp b11549 as it was recorded", async () => {
    const recorded = (name: string) =>
      readFileSync(new URL(`./__fixtures__/llama.cpp-b11549/${name}.json`, import.meta.url), "utf8");
    const routes = {
      "GET /v1/models": recorded("models"),
      "GET /props": recorded("props"),
      "GET /health": '{"status":"ok"}',
      "POST /tokenize": '{"tokens":[26843]}',
    };
    expect(await probe(routes)).toEqual({
      kind: "llama.cpp",
      version: "b0-unknown",
      canTokenize: true,
      models: [{ id: "small", contextWindow: 2_048 }],
    });
  });

  it("recognises Ollama by its own list of models, wherever they came from", async () => {
    const id = "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M";
    const digest = "baf6a787fdffd633537aa2eb51cfd54cb93ff08e28040095462bb63daf552878";
    const routes = {
      ...OLLAMA,
      "GET /v1/models": list({ id, object: "model", created: 1, owned_by: "bartowski" }),
      "GET /api/tags": { models: [{ name: id, model: id, size: 1, digest, details: { format: "gguf" } }] },
    };
    expect((await probe(routes)).kind).toBe("ollama");
    const other = { ...routes, "GET /api/tags": { models: [{ name: "another:latest", digest }] } };
    expect((await probe(other)).kind).toBe("openai-compatible");
  });

  it("finds the window of Text Generation Inference in what it tells of itself", async () => {
    const id = "meta-llama/Llama-3.1-8B-Instruct";
    const routes = {
      "GET /v1/models": list({ id, object: "model", created: 0, owned_by: id }),
      "GET /info": { model_id: id, max_input_tokens: 8_191, max_total_tokens: 8_192, version: "3.3.6" },
    };
    expect((await probe(routes)).models).toEqual([{ id, contextWindow: 8_192 }]);
    const two = { ...routes, "GET /v1/models": list({ id }, { id: "b" }) };
    expect((await probe(two)).models).toEqual([{ id }, { id: "b" }]);
  });

  it("finds an older SGLang's window in what it tells of its server", async () => {
    const older = {
      ...SGLANG,
      "GET /v1/models": list({ id: "qwen", owned_by: "sglang" }),
      "GET /server_info": undefined,
      "GET /get_server_info": { version: "0.4.1", context_length: 8_192 },
    };
    expect(await probe(older)).toMatchObject({ version: "0.4.1", models: [{ id: "qwen", contextWindow: 8_192 }] });
  });

  it("finds an older llama.cpp's window in its properties, never the one it was trained for", async () => {
    const older = {
      ...LLAMA_CPP,
      "GET /v1/models": list({ id: "/m.gguf", owned_by: "llamacpp", meta: { n_ctx_train: 262_144 } }),
    };
    expect((await probe(older)).models).toEqual([{ id: "/m.gguf", contextWindow: 16_384 }]);
  });

  it("does without a tokenizer that takes no chats", async () => {
    expect(
      (await probe({ ...SGLANG, "POST /tokenize": status(400, { detail: "prompt: Field required" }) })).canTokenize,
    ).toBe(false);
  });

  it.each<[string, Routes, string, string | RegExp]>([
    ["vLLM whose engine process has died", { ...VLLM, "GET /health": status(503) }, "engine_overloaded", /not healthy/],
    [
      "llama.cpp that loads",
      { "GET /v1/models": status(503, { error: { code: 503, message: "Loading model" } }) },
      "engine_overloaded",
      /Loading model/,
    ],
    [
      "an engine that wants a key",
      { "GET /v1/models": status(401, { error: "Unauthorized" }) },
      "engine_misconfigured",
      /API key/,
    ],
    [
      "a web server",
      { "GET /": "<html></html>" },
      "engine_failed",
      "no engine here: /v1/models answered with status 404",
    ],
    [
      "a web server that answers everything",
      { "GET /v1/models": "<!doctype html>" },
      "engine_failed",
      "no engine here: /v1/models is not a list of models",
    ],
    ["a server with another kind of list", { "GET /v1/models": { models: [] } }, "engine_failed", /not a list/],
  ])("rejects %s", async (_name, routes, code, message) => {
    await expect(probe(routes)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("rejects what does not answer", async () => {
    const { url } = await fakeEngine({});
    await expect(probeEngine(upstream(), { url: "http://127.0.0.1:1" })).rejects.toMatchObject({
      code: "engine_unreachable",
    });
    await expect(probeEngine(upstream(), { url: `${url}/prefix` })).rejects.toMatchObject({ code: "engine_failed" });
  });

  it("sends the key, and takes an address with /v1", async () => {
    const { url, asked } = await fakeEngine(VLLM);
    await probeEngine(upstream(), { url: `${url}/v1/`, apiKey: "k" });
    expect(asked.toSorted()).toEqual([
      "GET /health",
      "GET /metrics",
      "GET /v1/models",
      "GET /version",
      "POST /tokenize",
    ]);
  });

  it("finds how much vLLM's KV cache holds, once", async () => {
    const up = upstream();
    const metrics = 'vllm:cache_config_info{block_size="128",kv_cache_size_tokens="46592",num_gpu_blocks="364"} 1.0\n';
    const engine = await fakeEngine({ ...VLLM, "GET /metrics": metrics });
    expect((await probeEngine(up, engine)).kvTokens).toBe(46_592);
    engine.asked.length = 0;
    expect((await probeEngine(up, engine)).kvTokens).toBe(46_592);
    expect(engine.asked).not.toContain("GET /metrics");
  });

  it("asks only for what may have changed when it looks again", async () => {
    const up = upstream();
    const engine = await fakeEngine(OLLAMA);
    const first = await probeEngine(up, engine);
    engine.asked.length = 0;
    expect(await probeEngine(up, engine)).toEqual(first);
    expect(engine.asked.toSorted()).toEqual(["GET /api/ps", "GET /api/version", "GET /v1/models"]);
  });

  it("looks anew when the models change or the engine has failed", async () => {
    const up = upstream();
    const routes: Record<string, unknown> = { ...VLLM };
    const engine = await fakeEngine(routes);
    expect((await probeEngine(up, engine)).kind).toBe("vllm");
    Object.assign(routes, SGLANG);
    expect((await probeEngine(up, engine)).kind).toBe("sglang");
    routes["GET /health"] = status(503);
    await expect(probeEngine(up, engine)).rejects.toMatchObject({ code: "engine_overloaded" });
    Object.assign(routes, VLLM, { "GET /v1/models": list({ id: "qwen", owned_by: "vllm" }) });
    expect((await probeEngine(up, engine)).kind).toBe("vllm");
  });
});
