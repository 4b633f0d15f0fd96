import { describe, expect, it } from "vitest";
import { fakeEngine, type Routes, status, upstream } from "./__fixtures__/fake-engine.ts";
import type { EngineInfo } from "./engine-info.ts";
import { estimateTokens } from "./estimate-tokens.ts";
import { countPromptTokens } from "./tokenize.ts";

const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "How many tokens?" }] });
const info = (kind: EngineInfo["kind"], canTokenize = true): EngineInfo => ({ kind, models: [], canTokenize });
const estimated = { tokens: estimateTokens(body), exact: false };
const ids = Array.from({ length: 150_000 }, (_, i) => i);

async function count(routes: Routes, engine: EngineInfo | undefined) {
  const { url, asked } = await fakeEngine(routes);
  const counted = await countPromptTokens(upstream(), { url }, engine, body);
  return { counted, asked };
}

describe("countPromptTokens", () => {
  it.each<[string, Routes, EngineInfo["kind"], number]>([
    ["vLLM", { "POST /tokenize": { count: ids.length, max_model_len: 1, tokens: ids } }, "vllm", ids.length],
    ["SGLang", { "POST /tokenize": { tokens: ids, count: ids.length, max_model_len: 1 } }, "sglang", ids.length],
    ["llama.cpp", { "POST /v1/chat/completions/input_tokens": { object: "x", input_tokens: 42 } }, "llama.cpp", 42],
    [
      "an older llama.cpp",
      {
        "POST /apply-template": (sent: string) => ({ prompt: `<user>${sent.length}` }),
        "POST /tokenize": (sent: string) => ({
          tokens: (JSON.parse(sent) as { content: string }).content.split("").map((_, i) => i),
        }),
      },
      "llama.cpp",
      `<user>${body.length}`.length,
    ],
  ])("asks %s", async (_name, routes, kind, tokens) => {
    expect((await count(routes, info(kind))).counted).toEqual({ tokens, exact: true });
  });

  it("sends the body as it is", async () => {
    let sent = "";
    await count({ "POST /tokenize": (got: string) => ((sent = got), { count: 1, tokens: [] }) }, info("vllm"));
    expect(sent).toBe(body);
  });

  it.each<[string, Routes, EngineInfo | undefined]>([
    ["the engine has no tokenizer", {}, info("ollama", false)],
    ["nothing is known of the engine", {}, undefined],
    ["the engine refuses", { "POST /tokenize": status(400, { error: { message: "count", count: 5 } }) }, info("vllm")],
    ["the answer is of another form", { "POST /tokenize": { tokens: null } }, info("vllm")],
    ["the endpoint is not there", {}, info("llama.cpp")],
  ])("estimates when %s, and says so", async (_why, routes, engine) => {
    expect((await count(routes, engine)).counted).toEqual(estimated);
  });

  it("estimates when the engine is away", async () => {
    expect(await countPromptTokens(upstream(), { url: "http://127.0.0.1:1" }, info("vllm"), body)).toEqual(estimated);
  });

  it("remembers exact counts, by engine and body", async () => {
    const up = upstream();
    const first = await fakeEngine({ "POST /tokenize": { count: 7, tokens: [] } });
    const second = await fakeEngine({ "POST /tokenize": { count: 8, tokens: [] } });
    const ask = async (url: string, asked = body) => (await countPromptTokens(up, { url }, info("vllm"), asked)).tokens;
    expect([
      await ask(first.url),
      await ask(first.url),
      await ask(second.url),
      await ask(first.url, `${body} `),
    ]).toEqual([7, 7, 8, 7]);
    expect([first.asked.length, second.asked.length]).toEqual([2, 1]);
  });

  it("does not remember estimates", async () => {
    let away = true;
    const { url } = await fakeEngine({ "POST /tokenize": () => (away ? status(500) : { count: 7, tokens: [] }) });
    const up = upstream();
    const first = await countPromptTokens(up, { url }, info("vllm"), body);
    away = false;
    expect([first.exact, await countPromptTokens(up, { url }, info("vllm"), body)]).toEqual([
      false,
      { tokens: 7, exact: true },
    ]);
  });
});
