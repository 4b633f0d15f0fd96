/** Answers of a real llama.cpp with a real small model, through the built gateway: what it does otherwise than vLLM. */
import type Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { promptTokens, usageRows } from "../support/usage.ts";
import { clients } from "../support/wire-gateway.ts";
import { type LlamaCpp, SERVED_MODEL, startLlamaCpp } from "./support/llama-cpp.ts";

const WINDOW = 2_048;
const tool = (name: string) => ({
  name,
  description: `Runs ${name}`,
  input_schema: {
    type: "object" as const,
    properties: { city: { type: "string", maxLength: 10 }, unit: { type: "string", enum: ["c", "f"] } },
    required: ["city", "unit"],
  },
});
const TOOLS = [tool("get_weather"), tool("get_time")];
const CALL = `<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris", "unit": "c"}}
</tool_call>`;
/** Has the model write a call, which of itself it would not: llama.cpp forces a call's form, and not that one begins. */
const WRITE_A_CALL = (["user", "assistant", "user", "assistant", "user"] as const).map((role) => ({
  role,
  content: CALL,
}));
const STORY = "Tell a very long story about a boat, with many chapters.";

describe("a real llama.cpp with SmolLM2-135M", () => {
  let llama: LlamaCpp;
  let evener: RunningEvener;
  let anthropic: Anthropic;
  let openai: OpenAI;

  beforeAll(async () => {
    llama = await startLlamaCpp({ window: WINDOW });
    evener = await startEvener({ engines: [llama.url] });
    ({ anthropic, openai } = clients(evener));
  });
  afterAll(async () => {
    await evener?.stop();
    await llama?.stop();
  });

  const lastRow = async () => (await usageRows(evener)).at(-1)!;
  const say = (content: string, more: Partial<Anthropic.MessageCreateParamsNonStreaming> = {}) =>
    anthropic.messages.create({
      model: SERVED_MODEL,
      max_tokens: 60,
      messages: [{ role: "user", content }],
      ...more,
    });

  it("is recognised, with the window of one slot", async () => {
    const { data } = await openai.models.list();
    expect(data).toMatchObject([{ id: SERVED_MODEL, max_model_len: WINDOW }]);
  });

  it("reads as many tokens as count_tokens says, and those are billed", async () => {
    const params = { model: SERVED_MODEL, system: "Be brief.", tools: TOOLS };
    const messages = [{ role: "user" as const, content: "What is the capital of France? — “Nieselregen” 🌧" }];
    const { input_tokens } = await anthropic.messages.countTokens({ ...params, messages });
    const { usage } = await anthropic.messages.create({ ...params, messages, max_tokens: 5 });
    expect(usage.input_tokens + usage.cache_read_input_tokens!).toBe(input_tokens);
    const row = await lastRow();
    expect([promptTokens(row), row.output, row.counted_by]).toEqual([input_tokens, 5, "engine"]);
  });

  it("calls the tool that is named, and no other", async () => {
    const forced = { tools: TOOLS, tool_choice: { type: "tool" as const, name: "get_time" } };
    const message = await say("", { ...forced, messages: WRITE_A_CALL });
    expect(message.stop_reason).toBe("tool_use");
    expect(message.content).toMatchObject([
      {
        type: "tool_use",
        name: "get_time",
        input: { city: expect.any(String), unit: expect.stringMatching(/^[cf]$/) },
      },
    ]);
  });

  it("calls a tool where one is required, streamed to the OpenAI SDK", async () => {
    const stream = openai.chat.completions.stream({
      model: SERVED_MODEL,
      max_tokens: 60,
      tool_choice: "required",
      tools: TOOLS.map(({ name, description, input_schema: parameters }) => ({
        type: "function" as const,
        function: { name, description, parameters },
      })),
      temperature: 0,
      messages: WRITE_A_CALL,
    });
    const [choice] = (await stream.finalChatCompletion()).choices;
    expect(choice!.finish_reason).toBe("tool_calls");
    const [call] = choice!.message.tool_calls!;
    expect(JSON.parse((call as { function: { arguments: string } }).function.arguments)).toEqual({
      city: "Paris",
      unit: "c",
    });
  });

  it("keeps to a schema", async () => {
    const schema = {
      type: "object",
      properties: { unit: { type: "string", enum: ["c", "f"] } },
      required: ["unit"],
      additionalProperties: false,
    };
    const { choices } = await openai.chat.completions.create({
      model: SERVED_MODEL,
      max_tokens: 60,
      messages: [{ role: "user", content: "Which unit?" }],
      response_format: { type: "json_schema", json_schema: { name: "unit", strict: true, schema } },
    });
    expect(JSON.parse(choices[0]!.message.content!)).toEqual({ unit: expect.stringMatching(/^[cf]$/) });
  });

  it("answers with tools whose schemas its grammar does not know", async () => {
    const schema = { type: "object" as const, properties: { url: { type: "string", minLength: 1 }, body: true } };
    const tools = [{ name: "fetch", description: "Fetches", input_schema: schema }];
    const direct = new OpenAI({ baseURL: `${llama.url}/v1`, apiKey: "none", maxRetries: 0 });
    const asked = direct.chat.completions.create({
      model: SERVED_MODEL,
      max_tokens: 5,
      messages: [{ role: "user", content: "Hello." }],
      tools: [{ type: "function", function: { name: "fetch", parameters: schema } }],
    });
    await expect(asked).rejects.toThrow(/JSON schema error/);
    for (let time = 0; time < 2; time++) {
      const { response } = await anthropic.messages
        .create({ model: SERVED_MODEL, max_tokens: 5, messages: [{ role: "user", content: "Hello." }], tools })
        .withResponse();
      expect(response.headers.get("x-evener-ignored")).toBe("schema:minLength, schema:boolean");
    }
  });

  it("says which stop sequence ended the answer", async () => {
    const message = await say("Count: 1 2 3 4 5", { stop_sequences: ["@@@", " "] });
    expect([message.stop_reason, message.stop_sequence]).toEqual(["stop_sequence", " "]);
    await llama.idle();
  });

  it("goes on with the assistant's own words", async () => {
    const messages = [
      { role: "user" as const, content: "Count: 1 2 3 4" },
      { role: "assistant" as const, content: "5 6" },
    ];
    const { content } = await say("", { messages, max_tokens: 4 });
    expect(content).toEqual([{ type: "text", text: expect.not.stringContaining("5 6") }]);
  });

  it("refuses a prompt that is too long in the words by which Claude Code compacts", async () => {
    await expect(say("word and then ".repeat(1_000))).rejects.toMatchObject({
      status: 400,
      error: { error: { message: expect.stringMatching(/^prompt is too long: \d+ tokens > 2048 maximum$/) } },
    });
  });

  it("stops when the client has left, and what was written until then is billed", async () => {
    const stream = anthropic.messages.stream({
      model: SERVED_MODEL,
      max_tokens: 1_500,
      messages: [{ role: "user", content: STORY }],
    });
    let pieces = 0;
    for await (const event of stream) {
      if (event.type === "content_block_delta" && ++pieces === 10) break;
    }
    stream.abort();
    await llama.idle();
    await expect.poll(async () => (await lastRow()).outcome).toBe("client_gone");
    const row = await lastRow();
    expect(row.counted_by).toBe("engine");
    expect(row.output).toBeGreaterThanOrEqual(10);
    expect(row.output).toBeLessThan(1_500);
  });

  it("answers on a connection that it has just closed for being idle", async () => {
    // It keeps one for five seconds; the same instant is when the next request may come.
    await say("Hi", { max_tokens: 1 });
    for (const idle of [4_990, 5_000, 5_010]) {
      await new Promise((resolve) => setTimeout(resolve, idle));
      expect((await say("Hi", { max_tokens: 1 })).stop_reason).toBe("max_tokens");
    }
  });
});

describe("a real llama.cpp whose slots share one cache", () => {
  let llama: LlamaCpp;
  let evener: RunningEvener;
  beforeAll(async () => {
    llama = await startLlamaCpp({ window: 512, sharedCache: true });
    evener = await startEvener({ engines: [llama.url] });
  });
  afterAll(async () => {
    await evener?.stop();
    await llama?.stop();
  });

  it("is overloaded once they have filled it: neither prompt was too long", async () => {
    const openai = new OpenAI({ baseURL: `${evener.url}/v1`, apiKey: evener.key, maxRetries: 0 });
    const filler = "word and then ".repeat(70);
    const answers = ["boat", "train"].map(async (what) => {
      const params = {
        model: SERVED_MODEL,
        max_tokens: 200,
        messages: [{ role: "user" as const, content: filler + what }],
      };
      // Each alone would fit: 220 tokens of the prompt and 200 of the answer, in a window of 512.
      const whole = { ...params, ignore_eos: true };
      return openai.chat.completions.create(whole).then(
        () => "answered",
        (error: InstanceType<typeof OpenAI.APIError>) => `${error.status}: ${error.message}`,
      );
    });
    const said = await Promise.all(answers);
    expect(said.join("\n")).toContain("Context size has been exceeded.");
    expect(said.join("\n")).not.toContain("maximum context length");
    expect(said.filter((answer) => answer.startsWith("503"))).not.toEqual([]);
  });
});
