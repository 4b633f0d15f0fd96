import { describe, expect, test } from "vitest";
import type { EngineKind } from "../engine/profile.ts";
import { encodePrompt } from "../engine/encode-chat.ts";
import { engineError } from "../engine/engine-error.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { request, user } from "../engine/prompt/__fixtures__/requests.ts";
import type { Upstream } from "../engine/upstream.ts";
import { replicaOf } from "../routing/__fixtures__/replica.ts";
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
  maxTokens?: number | undefined;
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
      return { abort() {}, pause() {}, resume() {}, expectEnd() {} };
    },
  };
  const gateway = { config: { models: {} }, upstream: upstream as Upstream } as Pick<Gateway, "config" | "upstream">;
  const info: EngineInfo = { kind, models: [{ id: "m" }], canTokenize: kind === "vllm" };
  const replica = replicaOf("e", { info });
  const asked = request([user("12,34.5,".repeat(bytes / 8))], maxTokens === undefined ? {} : { maxTokens });
  const target = chatTarget(gateway.config, "m", info);
  const model = { id: "m", displayName: "m", contextWindow: window, replicas: [replica], alias: "claude-m" };
  const fit = await fitPrompt(gateway, asked, model, replica, target, encodePrompt(asked, target));
  /** The body of `refit`, on what the engine answers with a 400. */
  const after = async (message: string) => {
    const context = { model: "m", contextWindow: window, maxTokens };
    const again = await fit.refit(engineError(400, {}, JSON.stringify({ error: { message } }), context), replica);
    expect(sent(again.body)).toBe(again.maxTokens);
    return again.body;
  };
  return { ...fit, after };
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
    await expect(fitted({ ...csv, maxTokens: undefined, kind: "ollama" })).rejects.toThrow("prompt is too long");
    expect(sent((await fitted({ ...csv, maxTokens: undefined, kind: "vllm" })).body)).toBeUndefined();
  });

  test("cuts max_tokens to what a counted prompt leaves", async () => {
    const fit = await fitted({ bytes: 80, maxTokens: 32_000, window: 8_192, counts: 40 });
    expect([sent(fit.body), fit.maxOutput, fit.clampedTo]).toEqual([8_152, 8_152, 8_152]);
  });

  describe("once refused", () => {
    const window = 8_192;
    const sglang = (prompt: number) =>
      `The input (${prompt} tokens) is longer than the model's context length (8192 tokens).`;
    const older = (prompt: number, output: number) =>
      `This model's maximum context length is 8192 tokens. However, you requested ${prompt + output} tokens ` +
      `(${prompt} in the messages, ${output} in the completion).`;
    const atLeast = (floor: number) =>
      `This model's maximum context length is 8192 tokens. However, your prompt contains at least ${floor} input tokens`;

    test("lowers max_tokens by the engine's own figures, also where little room is left", async () => {
      const fit = await fitted({ maxTokens: 1_000, window });
      expect(sent(await fit.after(older(7_500, 1_000)))).toBe(8_192 - 7_500 - 16);
      expect(sent(await fit.after(older(8_180, 1_000)))).toBe(6);
      expect(sent(await fit.after(older(8_191, 1_000)))).toBe(1);
      // The engine's window counts, not the one that was known.
      const wrong = await fitted({ maxTokens: 10_000, window: 32_768 });
      expect(sent(await wrong.after(older(4_000, 10_000)))).toBe(8_192 - 4_000 - 16);
    });

    test("names the true window and the engine's size of the prompt, whatever was counted or estimated", async () => {
      const fit = await fitted({ maxTokens: 1_000, window, counts: 40 });
      await expect(fit.after(sglang(8_500))).rejects.toThrow("prompt is too long: 8500 tokens > 8192 maximum");
      const estimating = await fitted({ bytes: 20_000, maxTokens: 1_000, window });
      await expect(estimating.after(sglang(8_500))).rejects.toThrow("prompt is too long: 8500 tokens > 8192 maximum");
    });

    test("counts where the engine names no size", async () => {
      const fit = await fitted({ maxTokens: 1_000, window, counts: 7_500 });
      expect(sent(await fit.after(atLeast(7_193)))).toBe(8_192 - 7_500 - 16);
      // A count below what the engine has found already says nothing but that it is wrong.
      const less = await fitted({ bytes: 16_000, maxTokens: 32_000, window, counts: 5_000 });
      expect(sent(await less.after(atLeast(5_001)))).toBe(2_048);
      const beyond = await fitted({ maxTokens: 1_000, window, counts: 9_541 });
      await expect(beyond.after(atLeast(8_193))).rejects.toThrow("prompt is too long: 9541 tokens > 8192 maximum");
      const contradicted = await fitted({ maxTokens: 1_000, window, counts: 7_500 });
      await expect(contradicted.after(atLeast(8_193))).rejects.toThrow(
        "prompt is too long: 8193 tokens > 8192 maximum",
      );
    });

    test("asks for nothing lower where the engine has said that the prompt alone is too long", async () => {
      const fit = await fitted({ maxTokens: 5_000, window, counts: 3_000 });
      await expect(fit.after(atLeast(8_193))).rejects.toThrow("prompt is too long: 8193 tokens > 8192 maximum");
    });

    test("tells the client that only the output is too much where nothing lower can be asked for", async () => {
      const fit = await fitted({ bytes: 16_000, maxTokens: 1_000, window, counts: 8_191 });
      expect(sent(fit.body)).toBe(1);
      await expect(fit.after("context length exceeded")).rejects.toThrow("exceed context limit: 8191 + 1000 > 8192");
    });

    test("asks for the least room where all that is known is that the estimate is too low", async () => {
      const fit = await fitted({ maxTokens: 5_000, window });
      expect(sent(await fit.after(atLeast(3_193)))).toBe(2_048);
      const least = await fitted({ maxTokens: 2_000, window });
      await expect(least.after(atLeast(6_193))).rejects.toThrow("prompt is too long: 8193 tokens > 8192 maximum");
    });

    test("learns a window that the engine does not list from its refusal", async () => {
      const outputOnly =
        "max_tokens=64000 cannot be greater than max_model_len=32768. Please request fewer output tokens.";
      const counting = await fitted({ maxTokens: 64_000, counts: 20_000 });
      expect(sent(counting.body)).toBe(64_000);
      expect(sent(await counting.after(outputOnly))).toBe(32_768 - 20_000 - 16);
      const estimating = await fitted({ bytes: 16, maxTokens: 64_000 });
      const asked = sent(await estimating.after(outputOnly)) ?? 0;
      expect(asked).toBeGreaterThan(32_600);
      expect(asked).toBeLessThan(32_768);
      const tooLong = await fitted({ maxTokens: 64_000, counts: 40_000 });
      await expect(tooLong.after(outputOnly)).rejects.toThrow("prompt is too long: 40000 tokens > 32768 maximum");
    });
  });
});
