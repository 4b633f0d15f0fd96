import { describe, expect, it } from "vitest";
import type { JsonObject } from "../conversation/request.ts";
import { cacheCapacity, prefixCaching } from "./cache-checks.ts";
import { engineFound, modelsServed, windowFits } from "./engine-checks.ts";
import { reasoningApart } from "./reasoning-check.ts";
import { lateSystemMessages, toolsInPrompt } from "./template-checks.ts";
import { runningUsage } from "./usage-check.ts";
import { type Message, SUBJECT, completion, played, refusal, rendering, stream } from "./__fixtures__/replies.ts";

describe("the engine", () => {
  it("is named with its version; an unknown one is no fault", () => {
    const info = { models: [], canTokenize: true };
    expect(engineFound({ ...info, kind: "vllm", version: "0.32.0" })).toMatchObject([
      { result: "ok", found: "vLLM 0.32.0" },
    ]);
    expect(engineFound({ ...info, kind: "openai-compatible" })).toMatchObject([{ result: "unknown" }]);
  });

  it("has models whose names Claude Code may take for its own", () => {
    const info = { kind: "vllm" as const, models: [{ id: "claude-x" }, { id: "b" }], canTokenize: true };
    expect(modelsServed(info, { ...SUBJECT, model: "claude-x" })).toMatchObject([{ result: "warning" }]);
    expect(modelsServed(info, { ...SUBJECT, model: "b" })).toMatchObject([
      { result: "ok", found: expect.stringMatching(/not claude-x/) },
    ]);
  });

  it.each([
    [8_192, "bad", "raise --max-model-len"],
    [39_999, "bad", "raise --max-model-len"],
    [40_000, "warning", "raise --max-model-len"],
    [65_536, "ok", undefined],
    [undefined, "unknown", 'set models."m".context_window'],
  ])("has a window of %s tokens: %s", (window, result, advice) => {
    const [finding] = windowFits({ ...SUBJECT, window });
    expect(finding!.result).toBe(result);
    if (advice === undefined) expect(finding!.advice).toBeUndefined();
    else expect(finding!.advice).toContain(advice);
  });
});

/** A ChatML template, which may leave tools out. */
const template = (tools = true) =>
  rendering(
    ({ messages, ...body }) =>
      (tools && body["tools"] !== undefined ? JSON.stringify(body["tools"]) : "") +
      (messages as JsonObject[]).map(({ role, content }) => `<|${String(role)}|>${String(content)}`).join(""),
  );

describe("tools in the prompt", () => {
  const counted = (withTools: number) =>
    played(
      (body) => completion({ content: "P" }, "length", { prompt_tokens: body["tools"] === undefined ? 12 : withTools }),
      template(),
    );

  it("are there", async () => {
    expect(await toolsInPrompt(counted(167), SUBJECT)).toMatchObject([{ result: "ok" }]);
  });

  it("are left out by a flag, or by the template", async () => {
    expect(await toolsInPrompt(counted(12), SUBJECT)).toMatchObject([
      { result: "warning", advice: expect.stringMatching(/--exclude-tools-when-tool-choice-none/) },
    ]);
    const without = played(() => completion({ content: "P" }, "length"), template(false));
    expect(await toolsInPrompt(without, SUBJECT)).toMatchObject([
      { result: "bad", advice: expect.stringMatching(/--chat-template/) },
    ]);
  });

  it("cannot be told where nothing renders", async () => {
    expect(
      await toolsInPrompt(
        played(() => completion({ content: "P" })),
        SUBJECT,
      ),
    ).toMatchObject([{ result: "unknown" }]);
  });
});

describe("system messages inside the conversation", () => {
  const look = (others: Parameters<typeof played>[1]) =>
    lateSystemMessages(
      played(() => completion({}), others),
      SUBJECT,
    );

  it.each([
    ["kept", template(), /^kept/],
    ["refused", { "/tokenize": () => refusal("System message must be at the beginning.") }, /must be at the beginning/],
    [
      "moved to the head",
      rendering(({ messages }) =>
        (messages as JsonObject[])
          .toSorted((a) => (a["role"] === "system" ? -1 : 1))
          .map((m) => m["content"])
          .join(""),
      ),
      /^moved/,
    ],
    [
      "left out",
      rendering(({ messages }) =>
        (messages as JsonObject[]).map((m, i) => (i > 0 && m["role"] === "system" ? "" : m["content"])).join(""),
      ),
      /leaves them out/,
    ],
  ])("are %s, which stops nobody", async (_, others, found) => {
    expect(await look(others)).toMatchObject([{ result: "ok", found: expect.stringMatching(found) }]);
  });

  it("are seen in llama.cpp's own rendering", async () => {
    const others = {
      "/tokenize": () => ({ status: 200, text: '{"tokens":[]}' }),
      "/apply-template": ({ messages }: JsonObject) => ({
        status: 200,
        text: JSON.stringify({ prompt: (messages as JsonObject[]).map(({ content }) => content).join("\n") }),
      }),
    };
    expect(await look(others)).toMatchObject([{ result: "ok", found: "kept where they stand" }]);
    const refusing = { ...others, "/apply-template": () => refusal("System message must be at the beginning.", 500) };
    expect(await look(refusing)).toMatchObject([{ result: "ok", found: expect.stringMatching(/refuses them/) }]);
  });

  it("cannot be told without the endpoint", async () => {
    expect(await look({})).toMatchObject([{ result: "unknown", found: "the engine has no /tokenize (404)" }]);
  });
});

describe("reasoning", () => {
  it.each<[string, Message, string, Message, string, RegExp]>([
    [
      "comes apart from text",
      { content: "Hi", reasoning: "They want a greeting." },
      "stop",
      { content: "Hi" },
      "ok",
      /both came/,
    ],
    ["does not come", { content: "Hi" }, "stop", { content: "Hi" }, "ok", /no reasoning/],
    // Recorded from vLLM 0.32 with a reasoning parser and a model that does not think.
    ["swallows the text", { reasoning: "Hi" }, "stop", { content: "Hi" }, "bad", /thinking off text comes/],
    ["swallows the text, always", { reasoning: "Hi" }, "stop", { reasoning: "Hi" }, "bad", /no text$/],
    ["goes on", { reasoning: "Let me see" }, "length", { content: "Hi" }, "unknown", /still thinking/],
    [
      "stands in the text",
      { content: "<think>\nHm\n</think>\n\nHi" },
      "stop",
      { content: "Hi" },
      "warning",
      /between <think> tags/,
    ],
    ["is all there is not", {}, "stop", {}, "bad", /neither text nor reasoning/],
  ])("%s", async (_, plain, finish, quiet, result, found) => {
    const ask = played((body) =>
      body["chat_template_kwargs"] === undefined ? completion(plain, finish) : completion(quiet),
    );
    expect(await reasoningApart(ask, SUBJECT)).toMatchObject([{ result, found: expect.stringMatching(found) }]);
  });

  it("wants the parser of the model's family", async () => {
    const ask = played(() => completion({ content: "<think>Hm</think>Hi" }));
    expect(await reasoningApart(ask, { ...SUBJECT, names: ["agent", "Qwen/Qwen3-32B"] })).toMatchObject([
      { advice: "start it with --reasoning-parser qwen3" },
    ]);
  });
});

describe("the prefix cache", () => {
  /** `hits`: tokens by which the second of two prompts raises the counter. */
  const engine = ({ details, hits = 0, label = "True" }: { details?: number; hits?: number; label?: string }) => {
    const prompts: unknown[] = [];
    const ask = played(
      (body) => {
        prompts.push(body["messages"]);
        const prompt_tokens_details =
          details === undefined ? null : { cached_tokens: prompts.length > 1 ? details : 0 };
        return completion({ content: "P" }, "length", { prompt_tokens: 1_123, prompt_tokens_details });
      },
      {
        "/metrics": () => ({
          status: 200,
          text: `vllm:cache_config_info{enable_prefix_caching="${label}",engine="0"} 1.0\nvllm:prefix_cache_hits_total{engine="0"} ${prompts.length > 1 ? hits : 0}\n`,
        }),
      },
    );
    return { ask, prompts };
  };

  it.each([
    ["on and told", { details: 1_024, hits: 1_024 }, ["ok", "ok"]],
    ["on and not told", { hits: 1_024 }, ["ok", "warning"]],
    ["off", { label: "False", details: 0 }, ["bad", "ok"]],
    ["off and not told", { label: "False" }, ["bad", "warning"]],
    ["on, and finds nothing", { details: 0 }, ["warning", "ok"]],
  ])("is %s", async (_, options, results) => {
    const findings = await prefixCaching(engine(options).ask, SUBJECT);
    expect(findings.map(({ result }) => result)).toEqual(results);
  });

  it("is told by flags", async () => {
    const [caching, told] = await prefixCaching(engine({ label: "False" }).ask, SUBJECT);
    expect([caching!.advice, told!.advice]).toEqual([
      "start it with --enable-prefix-caching",
      "start it with --enable-prompt-tokens-details",
    ]);
  });

  it("is asked with a prompt that nobody has sent before, twice", async () => {
    const { ask, prompts } = engine({ details: 1_024 });
    await prefixCaching(ask, SUBJECT);
    await prefixCaching(ask, SUBJECT);
    expect(new Set(prompts.map((messages) => JSON.stringify(messages))).size).toBe(2);
  });

  it("is not known of an engine that tells nothing", async () => {
    const ask = played(() => completion({ content: "P" }, "length"));
    const findings = await prefixCaching(ask, { ...SUBJECT, kind: "ollama" });
    expect(findings.map(({ result }) => result)).toEqual(["unknown", "unknown"]);
  });
});

describe("room in the KV cache", () => {
  const look = (...labels: string[]) =>
    cacheCapacity(
      played(() => completion({}), {
        "/metrics": () => ({
          status: 200,
          text: labels.map((label) => `vllm:cache_config_info{${label}} 1.0\n`).join(""),
        }),
      }),
      SUBJECT,
    );

  it.each([
    [
      ['kv_cache_size_tokens="2097152",block_size="128",num_gpu_blocks="16384"'],
      "ok",
      "2,097,152 tokens: 41 conversations of 50,000",
    ],
    [['block_size="16",num_gpu_blocks="65536"'], "ok", "1,048,576 tokens: 20 conversations of 50,000"],
    [
      ['kv_cache_size_tokens="131071"'],
      "warning",
      "131,071 tokens: 2 conversations of 50,000, and less than one window of 131,072",
    ],
    // Two ranks of data parallelism: a conversation is in one of them.
    [
      ['engine="0",kv_cache_size_tokens="100000"', 'engine="1",kv_cache_size_tokens="100000"'],
      "warning",
      "200,000 tokens: 4 conversations of 50,000, and less than one window of 131,072",
    ],
    [['block_size="None",num_gpu_blocks="None"'], "unknown", "/metrics does not tell"],
    [[], "unknown", "/metrics does not tell"],
  ])("%j is %s", async (labels, result, found) => {
    expect(await look(...labels)).toMatchObject([{ result, found }]);
  });
});

describe("usage while it streams", () => {
  it.each([
    ["running", "ok", "on each of 2 chunks"],
    ["final", "warning", "only at the end: what a client that leaves has used is estimated"],
    ["none", "bad", "there is none, at the end neither: Evener has to estimate what was used"],
  ] as const)("%s is %s", async (usage, result, found) => {
    const ask = played(() => stream([{ content: "1" }, { content: " 2" }], "length", usage));
    expect(await runningUsage(ask, SUBJECT)).toEqual([{ id: "running_usage", result, found }]);
  });

  it("is read from llama.cpp's timings", async () => {
    const ask = played((body) => {
      expect(body["timings_per_token"]).toBe(true);
      const { text } = stream([{ content: "1" }, { content: " 2" }], "length", "final");
      return {
        status: 200,
        text: text.replaceAll('"choices":[{', '"timings":{"prompt_n":20,"predicted_n":1},"choices":[{'),
      };
    });
    expect(await runningUsage(ask, { ...SUBJECT, kind: "llama.cpp" })).toMatchObject([
      { result: "ok", found: "on each of 2 chunks" },
    ]);
  });
});
