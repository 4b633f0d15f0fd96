/** The official Anthropic SDK against the built gateway: what it throws and what it returns is the judge. */
import Anthropic, { APIError, NotFoundError } from "@anthropic-ai/sdk";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";

const TOOLS: Anthropic.Tool[] = [
  {
    name: "get_weather",
    description: "Weather of a city",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
  { name: "get_time", input_schema: { type: "object", properties: { zone: { type: "string" } } } },
];

let simulator: Simulator;
let evener: RunningEvener;
let client: Anthropic;

beforeAll(async () => {
  simulator = await startSimulator({ model: "test-model", maxModelLen: 32_768, reasoning: true });
  evener = await startEvener({ engines: [simulator.url] });
  client = new Anthropic({ baseURL: evener.url, authToken: evener.key, apiKey: null, maxRetries: 0 });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});
beforeEach(() => simulator.setScript(undefined));

const ask = (
  more: Partial<Anthropic.MessageCreateParamsNonStreaming> = {},
): Anthropic.MessageCreateParamsNonStreaming => ({
  model: "test-model",
  max_tokens: 1_000,
  messages: [{ role: "user", content: "Hello." }],
  ...more,
});

/** Asks once in each way; the answers must not differ. */
async function both(params: Anthropic.MessageCreateParamsNonStreaming): Promise<Anthropic.Message[]> {
  return [await client.messages.create(params), await client.messages.stream(params).finalMessage()];
}

describe("messages", () => {
  it("returns text, the stop reason and true usage, streaming and not", async () => {
    const text = 'Grüße, 世界! "quoted" \\ \n 👩‍💻 done';
    simulator.next({ text }, { text });
    const before = { ...simulator.totals };
    const [whole, streamed] = await both(ask({ system: "Be brief." }));
    for (const message of [whole!, streamed!]) {
      expect(message).toMatchObject({
        type: "message",
        role: "assistant",
        model: "test-model",
        content: [{ type: "text", text }],
        stop_reason: "end_turn",
        stop_sequence: null,
      });
      expect(message.id).toMatch(/^msg_/);
    }
    const prompt = (usage: Anthropic.Usage): number =>
      usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
    expect(prompt(whole!.usage) + prompt(streamed!.usage)).toBe(simulator.totals.promptTokens - before.promptTokens);
    expect(whole!.usage.output_tokens + streamed!.usage.output_tokens).toBe(
      simulator.totals.generatedTokens - before.generatedTokens,
    );
  });

  it("says the real number of prompt tokens at the stream's start", async () => {
    const counted = await client.messages.countTokens({ model: "test-model", messages: ask().messages });
    const stream = client.messages.stream(ask());
    const started = await new Promise<Anthropic.Message>((resolve) =>
      stream.on("streamEvent", (event) => {
        if (event.type === "message_start") resolve(event.message);
      }),
    );
    await stream.finalMessage();
    expect(counted.input_tokens).toBeGreaterThan(0);
    expect(started.usage.input_tokens + (started.usage.cache_read_input_tokens ?? 0)).toBe(counted.input_tokens);
  });

  it("returns a tool call with its arguments", async () => {
    const turn = { text: "Looking.", calls: [{ name: "get_weather", arguments: { city: 'Köln "am Rhein"' } }] };
    simulator.next(turn, turn);
    for (const message of await both(ask({ tools: TOOLS }))) {
      expect(message.stop_reason).toBe("tool_use");
      expect(message.content).toMatchObject([
        { type: "text", text: "Looking." },
        { type: "tool_use", name: "get_weather", input: { city: 'Köln "am Rhein"' } },
      ]);
    }
  });

  it("returns parallel tool calls in their order, with ids of their own, and takes the results in any order", async () => {
    const turn = {
      calls: [
        { name: "get_weather", arguments: { city: "Paris" } },
        { name: "get_time", arguments: { zone: "CET" } },
        { name: "get_weather", arguments: { city: "Rom" } },
      ],
    };
    simulator.next(turn, turn);
    for (const message of await both(ask({ tools: TOOLS }))) {
      const calls = message.content.filter((block) => block.type === "tool_use");
      expect(calls.map((call) => call.input)).toEqual([{ city: "Paris" }, { zone: "CET" }, { city: "Rom" }]);
      expect(new Set(calls.map((call) => call.id)).size).toBe(3);

      simulator.next({ text: "All three." });
      const results: Anthropic.ToolResultBlockParam[] = calls.toReversed().map((call, index) => ({
        type: "tool_result",
        tool_use_id: call.id,
        content: [{ type: "text", text: `result ${index}` }],
        is_error: index === 0,
      }));
      const next = await client.messages.create(
        ask({
          tools: TOOLS,
          messages: [
            ...ask().messages,
            { role: "assistant", content: message.content },
            { role: "user", content: results },
          ],
        }),
      );
      expect(next.content).toMatchObject([{ type: "text", text: "All three." }]);
    }
  });

  it("returns reasoning as thinking with a signature, and takes it back", async () => {
    const turn = { reasoning: "Let me think.", text: "Yes." };
    simulator.next(turn, turn, { text: "Still yes." });
    const thinking = { type: "enabled" as const, budget_tokens: 1_024 };
    const messages = await both(ask({ thinking, max_tokens: 4_000 }));
    for (const message of messages) {
      expect(message.content).toMatchObject([
        { type: "thinking", thinking: "Let me think.", signature: expect.stringMatching(/./) },
        { type: "text", text: "Yes." },
      ]);
    }
    const again = await client.messages.create(
      ask({
        thinking,
        max_tokens: 4_000,
        messages: [
          ...ask().messages,
          { role: "assistant", content: messages[0]!.content },
          { role: "user", content: "Sure?" },
        ],
      }),
    );
    expect(again.content).toMatchObject([{ type: "text", text: "Still yes." }]);
  });

  it("ends as max_tokens and as stop_sequence where the engine says so", async () => {
    simulator.next({ text: "one two three four five six seven eight" });
    expect(await client.messages.create(ask({ max_tokens: 3 }))).toMatchObject({
      stop_reason: "max_tokens",
      usage: { output_tokens: 3 },
    });
    simulator.next({ text: "before", finish: "stop", stopReason: "STOP" });
    expect(await client.messages.create(ask({ stop_sequences: ["STOP"] }))).toMatchObject({
      stop_reason: "stop_sequence",
      stop_sequence: "STOP",
    });
  });

  it("takes claude-… names for a served model", async () => {
    for (const model of ["claude-opus-4-6", "claude-3-5-haiku-latest", "claude-fable-9"]) {
      expect(await client.messages.create(ask({ model }))).toMatchObject({ type: "message", model });
    }
  });
});

describe("count_tokens and models", () => {
  it("counts tools and images-free prompts as the engine will", async () => {
    const params = { model: "test-model", messages: ask().messages, tools: TOOLS, system: "Be brief." };
    const counted = await client.messages.countTokens(params);
    const before = simulator.totals.promptTokens;
    await client.messages.create({ ...ask(), ...params });
    expect(counted.input_tokens).toBe(simulator.totals.promptTokens - before);
  });

  it("lists the models, each once more under a claude-… name, and finds both", async () => {
    const { data } = await client.models.list();
    expect(data.map((model) => model.id)).toContain("test-model");
    const alias = data.find((model) => model.id.startsWith("claude-"));
    expect(alias).toMatchObject({ type: "model", display_name: expect.stringContaining("test-model") });
    for (const model of data)
      expect(await client.models.retrieve(model.id)).toMatchObject({ id: model.id, type: "model" });
  });
});

describe("errors", () => {
  it("throws the SDK's own error for a model that is not served, with the list and a request id", async () => {
    const error = await client.messages.create(ask({ model: "gpt-9" })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    const { status, message, requestID } = error as APIError;
    expect({ status, requestID }).toEqual({ status: 404, requestID: expect.stringMatching(/^req_/) });
    expect(message).toContain("test-model");
  });

  it("throws while streaming when the engine breaks off, and never returns half an answer as a whole one", async () => {
    simulator.next({ text: "one two three four", fault: { kind: "cut", after: 2 } });
    const stream = client.messages.stream(ask());
    await expect(stream.finalMessage()).rejects.toThrow(APIError);
  });

  it("gives the engine's refusal in its own words", async () => {
    simulator.next({
      fault: { kind: "http", status: 400, body: { error: { message: "this template has no tools", code: 400 } } },
    });
    await expect(client.messages.create(ask())).rejects.toThrow(/this template has no tools/);
  });
});
