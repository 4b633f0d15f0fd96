/**
 * Answers of a real vLLM with a real small model, through the built gateway: the real Claude Code, forced tool calls on both
 * wires, and token counts that are the engine's own.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Anthropic from "@anthropic-ai/sdk";
import type OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installClaude, runClaude } from "../support/claude.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { promptTokens, usageRows } from "../support/usage.ts";
import { clients } from "../support/wire-gateway.ts";
import { type Counters, SERVED_MODEL, type Vllm, WINDOWS, startVllm } from "./support/vllm.ts";

const WEATHER_SCHEMA = {
  type: "object" as const,
  properties: { city: { type: "string", maxLength: 20 }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};
const WEATHER = "What is the weather in Paris, in celsius?";

/** Longer than a block of the engine's cache. */
const GUIDE = `You are a helpful assistant. You answer in one short sentence, and you say only what you know. The people who ask
you are travellers. They stand at a railway station with a phone in one hand and a bag in the other, so they have little
time and little patience. They want the name of a town, a river, a mountain, a dish or a language, and nothing else. Do not
greet them, do not thank them, and do not tell them what you are. When a question is about money, name the currency. When it
is about the weather, tell them to look out of the window. When you do not know, say that you do not know.`;

/** What any call of the tool must be, whatever the model thought of. */
const WEATHER_CALL = { city: expect.any(String), unit: expect.stringMatching(/^(celsius|fahrenheit)$/) };

describe("a real vLLM with SmolLM2-135M", () => {
  let vllm: Vllm;
  let evener: RunningEvener;
  let before: Counters;
  let anthropic: Anthropic;
  let openai: OpenAI;

  beforeAll(async () => {
    vllm = await startVllm({ model: "smollm2" });
    before = await vllm.counters();
    evener = await startEvener({ engines: [vllm.url] });
    ({ anthropic, openai } = clients(evener));
  });
  afterAll(async () => {
    await evener?.stop();
    await vllm?.stop();
  });

  describe("the real Claude Code", () => {
    let home: string;
    beforeAll(() => {
      home = mkdtempSync(join(tmpdir(), "evener-slow-"));
    });
    afterAll(() => rmSync(home, { recursive: true, force: true }));

    // Without tools and with a system prompt of our own, what is left is a question that a model of this size can answer.
    const claude = async (...args: string[]) => {
      const run = await runClaude(evener, {
        binary: await installClaude("2.1.330"),
        cwd: home,
        env: { HOME: home },
        timeoutMs: 300_000,
        args: ["--bare", "--tools", "", "--system-prompt", GUIDE, "--output-format", "json", ...args],
      });
      expect(run).toMatchObject({ code: 0 });
      return JSON.parse(run.stdout) as { result: string; session_id: string; usage: Anthropic.Usage };
    };

    it("gets an answer, and on its second turn the engine knows the first", async () => {
      const first = await claude("-p", "What is the capital of France?");
      expect(first.result).toContain("Paris");
      const second = await claude("--continue", "-p", "And what is the capital of Germany?");
      expect(second.result).toContain("Berlin");

      const rows = await usageRows(evener);
      expect(rows).toHaveLength(2);
      for (const row of rows) {
        expect(row).toMatchObject({ outcome: "ok", counted_by: "engine", session: first.session_id });
      }
      // The cache works by blocks of 128 tokens, of which the first turn filled one.
      expect(rows[0]!.cache_read).toBeLessThanOrEqual(vllm.fresh ? 0 : Infinity);
      expect(rows[1]!.cache_read).toBeGreaterThanOrEqual(128);
      expect(second.usage.cache_read_input_tokens).toBe(rows[1]!.cache_read);
    });
  });

  describe("forced tool calls", () => {
    const tools = [
      { name: "get_weather", description: "Tells the weather", strict: true, input_schema: WEATHER_SCHEMA },
    ];

    it.each([
      ["any", { type: "any" as const }],
      ["a named tool", { type: "tool" as const, name: "get_weather" }],
    ])("come back as tool_use, streamed and not: %s", async (_, tool_choice) => {
      const params = {
        model: SERVED_MODEL,
        max_tokens: 200,
        tools,
        tool_choice,
        messages: [{ role: "user" as const, content: WEATHER }],
      };
      const whole = await anthropic.messages.create(params);
      const streamed = await anthropic.messages.stream(params).finalMessage();
      for (const message of [whole, streamed]) {
        expect(message.stop_reason).toBe("tool_use");
        const uses = message.content.filter((block) => block.type === "tool_use");
        expect(uses.map(({ name, input }) => ({ name, input }))).toEqual([
          { name: "get_weather", input: WEATHER_CALL },
        ]);
      }
      expect(streamed.content.map(withoutId)).toEqual(whole.content.map(withoutId));
    });

    it.each([
      ["required", "required" as const],
      ["a named function", { type: "function" as const, function: { name: "get_weather" } }],
    ])("come back as tool_calls, streamed and not: %s", async (_, tool_choice) => {
      const params = {
        model: SERVED_MODEL,
        max_tokens: 200,
        tools: [
          {
            type: "function" as const,
            function: {
              name: "get_weather",
              description: "Tells the weather",
              strict: true,
              parameters: WEATHER_SCHEMA,
            },
          },
        ],
        tool_choice,
        messages: [{ role: "user" as const, content: WEATHER }],
      };
      const whole = await openai.chat.completions.create(params);
      const streamed = await openai.chat.completions.stream(params).finalChatCompletion();
      for (const completion of [whole, streamed]) {
        expect(completion.choices[0]!.finish_reason).toBe("tool_calls");
        const [call, ...others] = completion.choices[0]!.message.tool_calls!;
        expect(others).toEqual([]);
        expect(call).toMatchObject({ type: "function", function: { name: "get_weather" } });
        expect(JSON.parse((call as { function: { arguments: string } }).function.arguments)).toEqual(WEATHER_CALL);
      }
    });
  });

  describe("token counts", () => {
    const conversation = {
      model: SERVED_MODEL,
      system: [{ type: "text" as const, text: "You are a helpful assistant." }],
      // Forced, because an empty answer of the model would be asked for again, and the engine would read the prompt twice.
      tool_choice: { type: "any" as const },
      tools: [{ name: "get_weather", description: "Tells the weather", strict: true, input_schema: WEATHER_SCHEMA }],
      messages: [
        { role: "user" as const, content: WEATHER },
        {
          role: "assistant" as const,
          content: [
            {
              type: "tool_use" as const,
              id: "toolu_1",
              name: "get_weather",
              input: { city: "Paris", unit: "celsius" },
            },
          ],
        },
        {
          role: "user" as const,
          content: [
            { type: "tool_result" as const, tool_use_id: "toolu_1", content: "12 degrees, grey — “Nieselregen” 🌧" },
          ],
        },
      ],
    };

    it("of count_tokens are what the engine then reads", async () => {
      const counted = await anthropic.messages.countTokens(conversation);
      const engineBefore = await vllm.counters();
      const { usage } = await anthropic.messages.create({ ...conversation, max_tokens: 200 });
      const engineAfter = await vllm.counters();
      const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage;
      expect(input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0)).toBe(
        counted.input_tokens,
      );
      expect(engineAfter.promptTokens - engineBefore.promptTokens).toBe(counted.input_tokens);
    });

    it("are true from the first event of a stream on", async () => {
      const counted = await anthropic.messages.countTokens(conversation);
      const stream = await anthropic.messages.create({ ...conversation, max_tokens: 200, stream: true });
      for await (const event of stream) {
        if (event.type !== "message_start") continue;
        const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = event.message.usage;
        expect(input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0)).toBe(
          counted.input_tokens,
        );
      }
    });
  });

  describe("the window", () => {
    it("cuts max_tokens down to what the prompt leaves", async () => {
      const engineBefore = await vllm.counters();
      const { usage } = await openai.chat.completions.create({
        model: SERVED_MODEL,
        max_tokens: 32_000,
        messages: [{ role: "user", content: "What is the capital of France?" }],
      });
      const engineAfter = await vllm.counters();
      expect(engineAfter.maxTokensAsked - engineBefore.maxTokensAsked).toBe(WINDOWS.smollm2 - usage!.prompt_tokens);
    });

    it("refuses a longer prompt in the words on which Claude Code compacts, with its true size", async () => {
      const messages = [{ role: "user" as const, content: "one two three four five ".repeat(2_000) }];
      const counted = await anthropic.messages.countTokens({ model: SERVED_MODEL, messages });
      expect(counted.input_tokens).toBeGreaterThan(WINDOWS.smollm2);
      const refused = anthropic.messages.create({ model: SERVED_MODEL, max_tokens: 32_000, messages, stream: true });
      await expect(refused).rejects.toMatchObject({
        status: 400,
        error: {
          error: {
            type: "invalid_request_error",
            message: `prompt is too long: ${counted.input_tokens} tokens > ${WINDOWS.smollm2} maximum`,
          },
        },
      });
    });
  });

  // Last, so that it covers everything above: Claude Code, tools, streams, cached prompts, refusals.
  it("was metered to the token", async () => {
    await vllm.idle();
    const rows = await usageRows(evener);
    const after = await vllm.counters();
    const metered = {
      promptTokens: rows.reduce((total, row) => total + promptTokens(row), 0),
      cachedTokens: rows.reduce((total, row) => total + row.cache_read, 0),
      generationTokens: rows.reduce((total, row) => total + row.output, 0),
    };
    expect(rows.length).toBeGreaterThan(10);
    expect(metered).toEqual({
      promptTokens: after.promptTokens - before.promptTokens,
      cachedTokens: after.cachedTokens - before.cachedTokens,
      generationTokens: after.generationTokens - before.generationTokens,
    });
  });
});

function withoutId(block: Anthropic.ContentBlock): unknown {
  return block.type === "tool_use" ? { ...block, id: "" } : block;
}
