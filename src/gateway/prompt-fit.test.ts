import { describe, expect, test } from "vitest";
import type { EngineKind } from "../engine/profile.ts";
import { encodePrompt } from "../engine/encode-chat.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { request, user } from "../engine/prompt/__fixtures__/requests.ts";
import type { Upstream } from "../engine/upstream.ts";
import type { EngineState } from "../routing/engine-pool.ts";
import { chatTarget } from "./chat-target.ts";
import type { Gateway } from "./gateway.ts";
import { fitPrompt } from "./prompt-fit.ts";

/** As `fitPrompt`, for a prompt of so many bytes on an engine that counts as told: a number, or not at all. */
async function fitted({
  bytes = 10,
  maxTokens,
  window,
  counts,
  kind = "vllm",
}: {
  bytes?: number;
  maxTokens?: number;
  window?: number;
  counts?: number;
  kind?: EngineKind;
}) {
  const upstream: Pick<Upstream, "post"> = {
    post(_engine, _path, _body, handlers) {
      queueMicrotask(() => {
        handlers.onHead(counts === undefined ? 500 : 200, {});
        handlers.onData(Buffer.from(`{"count":${counts},"max_model_len":8192,"tokens":[1]}`));
        handlers.onEnd();
      });
      return { abort() {}, pause() {}, resume() {} };
    },
  };
  const gateway = { config: { models: {} }, upstream: upstream as Upstream } as Pick<Gateway, "config" | "upstream">;
  const info: EngineInfo = { kind, models: [{ id: "m" }], canTokenize: kind === "vllm" };
  const replica: EngineState<EngineInfo> = {
    address: { name: "e", url: "http://e" },
    info,
    up: true,
    problem: undefined,
    inFlight: 0,
  };
  const asked = request([user("12,34.5,".repeat(bytes / 8))], maxTokens === undefined ? {} : { maxTokens });
  const target = chatTarget(gateway.config, "m", info);
  const model = { id: "m", displayName: "m", contextWindow: window, replicas: [replica], alias: "claude-m" };
  return fitPrompt(gateway, asked, model, replica, target, encodePrompt(asked, target));
}

const sent = (body: string) => (JSON.parse(body) as { max_tokens?: number }).max_tokens;

describe("fitPrompt", () => {
  test("asks the engine where it has only an estimate", async () => {
    const csv = { bytes: 70_000, maxTokens: 1_000, window: 32_768 };
    for (const kind of ["vllm", "openai-compatible"] as const) {
      const fit = await fitted({ ...csv, kind });
      expect([sent(fit.body), fit.maxOutput, fit.clampedTo]).toEqual([1_000, 1_000, undefined]);
    }
    await expect(fitted({ ...csv, counts: 40_000 })).rejects.toThrow(
      "prompt is too long: 40000 tokens > 32768 maximum",
    );
    // Ollama would answer without the prompt's beginning.
    await expect(fitted({ ...csv, kind: "ollama" })).rejects.toThrow("prompt is too long");
  });

  test("cuts max_tokens to what a counted prompt leaves", async () => {
    const fit = await fitted({ bytes: 80, maxTokens: 32_000, window: 8_192, counts: 40 });
    expect([sent(fit.body), fit.maxOutput, fit.clampedTo]).toEqual([8_152, 8_152, 8_152]);
  });
});
