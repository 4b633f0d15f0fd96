/** The official OpenAI SDK against the built gateway. */
import OpenAI, { type APIError, NotFoundError } from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";

type Params = OpenAI.ChatCompletionCreateParamsNonStreaming;

const TOOLS: OpenAI.ChatCompletionFunctionTool[] = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { of: { type: "string" } } } },
}));

let simulator: Simulator;
let evener: RunningEvener;
let client: OpenAI;

beforeAll(async () => {
  simulator = await startSimulator({ model: "test-model", maxModelLen: 32_768, reasoning: true });
  evener = await startEvener({ engines: [simulator.url] });
  client = new OpenAI({ baseURL: `${evener.url}/v1`, apiKey: evener.key, maxRetries: 0 });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});
beforeEach(() => simulator.setScript(undefined));

const ask = (more: Partial<Params> = {}): Params => ({
  model: "test-model",
  messages: [{ role: "user", content: "Hello." }],
  ...more,
});

async function both(params: Params): Promise<OpenAI.ChatCompletion[]> {
  return [
    await client.chat.completions.create(params),
    await client.chat.completions
      .stream({ ...params, stream: true, stream_options: { include_usage: true } })
      .finalChatCompletion(),
  ];
}

it("returns text, the finish reason and true usage, streaming and not", async () => {
  const text = 'Grüße, 世界! "quoted" \\ \n 👩‍💻 done';
  simulator.next({ text }, { text });
  const before = { ...simulator.totals };
  const completions = await both(ask({ messages: [{ role: "system", content: "Be brief." }, ...ask().messages] }));
  for (const completion of completions) {
    expect(completion).toMatchObject({ object: "chat.completion", model: "test-model" });
    expect(completion.choices).toMatchObject([
      { index: 0, finish_reason: "stop", message: { role: "assistant", content: text } },
    ]);
  }
  const sum = (field: "prompt_tokens" | "completion_tokens") =>
    completions.reduce((total, { usage }) => total + (usage?.[field] ?? Number.NaN), 0);
  expect(sum("prompt_tokens")).toBe(simulator.totals.promptTokens - before.promptTokens);
  expect(sum("completion_tokens")).toBe(simulator.totals.generatedTokens - before.generatedTokens);
});

it("sends usage in a stream only to those who ask", async () => {
  simulator.next({ text: "hi" });
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of await client.chat.completions.create({ ...ask(), stream: true })) chunks.push(chunk);
  expect(chunks.filter((chunk) => chunk.usage)).toEqual([]);
  expect(chunks.every((chunk) => chunk.choices.length === 1)).toBe(true);
});

it("returns tool calls, also in parallel, and takes the results", async () => {
  const turn = {
    calls: [
      { name: "get_weather", arguments: { of: "Köln" } },
      { name: "get_time", arguments: { of: "CET" } },
    ],
  };
  simulator.next(turn, turn);
  for (const { choices } of await both(ask({ tools: TOOLS }))) {
    const [choice] = choices;
    expect(choice?.finish_reason).toBe("tool_calls");
    const calls = (choice?.message.tool_calls ?? []).filter((call) => call.type === "function");
    expect(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)])).toEqual([
      ["get_weather", { of: "Köln" }],
      ["get_time", { of: "CET" }],
    ]);
    simulator.next({ text: "Both." });
    const next = await client.chat.completions.create(
      ask({
        tools: TOOLS,
        messages: [
          ...ask().messages,
          choice!.message,
          ...calls.map((call) => ({ role: "tool" as const, tool_call_id: call.id, content: "done" })),
        ],
      }),
    );
    expect(next.choices[0]?.message.content).toBe("Both.");
  }
});

it("ends as length at max_completion_tokens and at max_tokens", async () => {
  for (const limit of [{ max_completion_tokens: 3 }, { max_tokens: 3 }]) {
    simulator.next({ text: "one two three four five six seven eight" });
    const { choices, usage } = await client.chat.completions.create(ask(limit));
    expect(choices[0]?.finish_reason).toBe("length");
    expect(usage?.completion_tokens).toBe(3);
  }
});

it("lists each model once, with its window, and finds it", async () => {
  const { data } = await client.models.list();
  expect(data).toMatchObject([{ id: "test-model", object: "model", max_model_len: 32_768 }]);
  expect(await client.models.retrieve("test-model")).toMatchObject({ id: "test-model" });
});

describe("errors", () => {
  it("throws the SDK's own error for a model that is not served, with the list and a request id", async () => {
    const error = await client.chat.completions.create(ask({ model: "gpt-9" })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    const { status, message, requestID, code } = error as APIError;
    expect({ status, code, requestID }).toEqual({
      status: 404,
      code: "model_not_found",
      requestID: expect.stringMatching(/^req_/),
    });
    expect(message).toContain("test-model");
  });

  it("throws while streaming when the engine breaks off", async () => {
    simulator.next({ text: "one two three four", fault: { kind: "cut", after: 2 } });
    const read = async (): Promise<void> => {
      for await (const _chunk of await client.chat.completions.create({ ...ask(), stream: true }));
    };
    await expect(read()).rejects.toThrow(/engine/);
  });
});
