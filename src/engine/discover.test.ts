import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import {
  EVENER,
  fakeEngine,
  list,
  LLAMA_CPP,
  LM_STUDIO,
  OLLAMA,
  SGLANG,
  status,
  upstream,
  VLLM,
} from "./__fixtures__/fake-engine.ts";
import { discoverEngines } from "./discover.ts";

describe("discoverEngines", () => {
  it("finds the engines, in the order of their ports, and nothing else", async () => {
    const engines = await Promise.all([VLLM, SGLANG, LLAMA_CPP, OLLAMA, LM_STUDIO].map(fakeEngine));
    const others = await Promise.all(
      [
        EVENER,
        { "GET /": "hello" },
        { "GET /v1/models": "<html></html>" },
        { "GET /v1/models": list({ id: "gpt-4o", owned_by: "openai" }) },
        { "GET /v1/models": list(), "GET /props": [] },
        { "GET /v1/models": status(500) },
        { ...VLLM, "GET /health": status(503) },
      ].map(fakeEngine),
    );
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const ports = [silent, closed].map((server) => (server.address() as AddressInfo).port);
    closed.close();

    const found = await discoverEngines(upstream(), [
      ...ports,
      ...others.map(({ port }) => port),
      ...engines.map(({ port }) => port),
    ]);
    silent.close();
    expect(found.map(({ info }) => info.kind)).toEqual(["vllm", "sglang", "llama.cpp", "ollama", "lm-studio"]);
    expect(found.map(({ address }) => address.url)).toEqual(engines.map(({ url }) => url));
  });
});
