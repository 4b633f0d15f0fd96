/**
 * A real vLLM as `vllm serve MODEL` starts it, without a parser for tool calls, which refuses every request with tools; and what its
 * grammars refuse of schemas. Through the built gateway both are answered.
 */
import type Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { usageRows } from "../support/usage.ts";
import { clients } from "../support/wire-gateway.ts";
import { SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

const PARAMETERS = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] };
const ASK = "What is the weather in Paris?";
/** What the model is made to write; the engine's own grammar does it. */
const CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';

describe("a real vLLM without a tool-call parser", () => {
  let vllm: Vllm;
  let evener: RunningEvener;
  let anthropic: Anthropic;
  let openai: OpenAI;

  beforeAll(async () => {
    vllm = await startVllm({ model: "smollm2", withoutToolParser: true });
    evener = await startEvener({ engines: [vllm.url] });
    ({ anthropic, openai } = clients(evener));
  });
  afterAll(async () => {
    await evener?.stop();
    await vllm?.stop();
  });

  const tools = [{ type: "function" as const, function: { name: "get_weather", parameters: PARAMETERS } }];
  const messages = [{ role: "user" as const, content: ASK }];

  it("refuses tools by itself", async () => {
    const direct = new OpenAI({ baseURL: `${vllm.url}/v1`, apiKey: "none", maxRetries: 0 });
    for (const tool_choice of ["auto", "required"] as const) {
      const asked = direct.chat.completions.create({
        model: SERVED_MODEL,
        max_tokens: 10,
        messages,
        tools,
        tool_choice,
      });
      await expect(asked).rejects.toThrow("--tool-call-parser");
    }
  });

  it("calls the tool that the model wrote as text, streamed and not, from the first request on", async () => {
    const extra = { structured_outputs: { choice: [CALL] } };
    for (const tool_choice of ["auto", "required"] as const) {
      const params = { model: SERVED_MODEL, max_tokens: 100, messages, tools, tool_choice, ...extra };
      const whole = await openai.chat.completions.create(params);
      const streamed = await openai.chat.completions.stream(params).finalChatCompletion();
      for (const { message, finish_reason } of [whole.choices[0]!, streamed.choices[0]!]) {
        expect(finish_reason).toBe("tool_calls");
        expect(message.content ?? "").toBe("");
        expect(message.tool_calls).toMatchObject([{ function: { name: "get_weather" } }]);
        const [call] = message.tool_calls as { function: { arguments: string } }[];
        expect(JSON.parse(call!.function.arguments)).toEqual({ city: "Paris" });
      }
    }
  });

  it("answers on Anthropic's wire with the tools in the prompt, and says what it gave up", async () => {
    const params = { model: SERVED_MODEL, max_tokens: 8, messages };
    const bare = await anthropic.messages.create(params);
    const withTools = { ...params, tools: [{ name: "get_weather", input_schema: PARAMETERS }] };
    const { data, response } = await anthropic.messages
      .create({ ...withTools, tool_choice: { type: "any" } })
      .withResponse();
    expect(response.headers.get("x-evener-ignored")).toContain("field:tool_choice");
    expect(input(data.usage)).toBeGreaterThan(input(bare.usage) + 50);
    const counted = await anthropic.messages.countTokens({
      model: SERVED_MODEL,
      messages,
      tools: withTools.tools,
    });
    expect(counted.input_tokens).toBe(input(data.usage));
  });

  it("tells whoever runs it, once", () => {
    expect(evener.log().match(/no tool-call parser/g)).toHaveLength(1);
  });

  it("answers in a schema's shape without the keywords that the engine's grammar refuses", async () => {
    const schema = {
      type: "object",
      properties: {
        when: { type: "string", format: "cron", maxLength: 5 },
        letters: { type: "array", items: { type: "string", enum: ["a", "b"] }, uniqueItems: true, maxItems: 2 },
      },
      required: ["when", "letters"],
      additionalProperties: false,
    };
    const params = {
      model: SERVED_MODEL,
      max_tokens: 120,
      messages,
      response_format: { type: "json_schema" as const, json_schema: { name: "plan", schema } },
    };
    const direct = new OpenAI({ baseURL: `${vllm.url}/v1`, apiKey: "none", maxRetries: 0 });
    await expect(direct.chat.completions.create(params)).rejects.toThrow(/Grammar error/);
    for (let time = 0; time < 2; time++) {
      const { data, response } = await openai.chat.completions.create(params).withResponse();
      expect(response.headers.get("x-evener-ignored")).toBe(
        "schema:format, schema:maxLength, schema:uniqueItems, schema:maxItems",
      );
      expect(data.choices[0]!.message.content).toMatch(/^\s*\{\s*"when"\s*:/);
    }
    expect(evener.log().match(/cannot make a grammar/g)).toHaveLength(1);
  });

  it("has one row for each request, counted by the engine", async () => {
    await vllm.idle();
    const rows = await usageRows(evener);
    expect(rows.map(({ outcome, counted_by }) => ({ outcome, counted_by }))).toEqual(
      Array.from({ length: 8 }, () => ({ outcome: "ok", counted_by: "engine" })),
    );
  });
});

/** All tokens of a prompt. */
function input({ input_tokens, cache_read_input_tokens }: Anthropic.Usage): number {
  return input_tokens + (cache_read_input_tokens ?? 0);
}
