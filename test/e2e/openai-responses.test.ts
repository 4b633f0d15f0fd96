/** OpenAI's Responses API on the built gateway, spoken by the official SDK. */
import OpenAI, { BadRequestError } from "openai";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { send } from "../support/simulator.ts";

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

const ASK = { model: "test-model", input: "Hello." };
const TOOLS: OpenAI.Responses.FunctionTool[] = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  name,
  parameters: { type: "object", properties: { of: { type: "string" } } },
  strict: false,
}));

it("returns reasoning, text and true usage, streaming and not", async () => {
  const text = 'Grüße, 世界! "quoted" \\ \n 👩‍💻 done';
  simulator.next({ reasoning: "Hm.", text }, { reasoning: "Hm.", text });
  const before = { ...simulator.totals };
  const responses = [await client.responses.create(ASK), await client.responses.stream(ASK).finalResponse()];
  for (const response of responses) {
    expect(response).toMatchObject({
      object: "response",
      status: "completed",
      output_text: text,
      output: [
        { type: "reasoning", content: [{ text: "Hm." }] },
        { type: "message", status: "completed" },
      ],
    });
  }
  const sum = (field: "input_tokens" | "output_tokens") =>
    responses.reduce((total, { usage }) => total + (usage?.[field] ?? Number.NaN), 0);
  expect(sum("input_tokens")).toBe(simulator.totals.promptTokens - before.promptTokens);
  expect(sum("output_tokens")).toBe(simulator.totals.generatedTokens - before.generatedTokens);
});

it("carries a loop of parallel calls, whose results come back as items", async () => {
  const calls = [
    { name: "get_weather", arguments: { of: "Köln" } },
    { name: "get_time", arguments: { of: "Köln" } },
  ];
  simulator.next({ reasoning: "Both.", calls }, { text: "Sunny at noon." });
  const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "Weather and time?" }];
  const first = await client.responses.stream({ ...ASK, input, tools: TOOLS }).finalResponse();
  const made = first.output.filter((item) => item.type === "function_call");
  expect(made.map(({ name, arguments: text }) => ({ name, arguments: JSON.parse(text) as unknown }))).toEqual(calls);
  input.push(...(first.output as OpenAI.Responses.ResponseInputItem[]));
  for (const { call_id } of made) input.push({ type: "function_call_output", call_id, output: `result ${call_id}` });
  const second = await client.responses.create({ ...ASK, input, tools: TOOLS });
  expect(second.output_text).toBe("Sunny at noon.");
  // The second prompt goes on from the first, so that its prefix was cached.
  expect(second.usage?.input_tokens_details.cached_tokens).toBeGreaterThan(0);
});

it("carries a search that the client runs for its tools, and calls of what it found, in a prompt that only grows", async () => {
  const search = { type: "tool_search" as const, execution: "client" as const, parameters: { type: "object" } };
  const ask = { ...ASK, tools: [TOOLS[0]!, search] };
  const calls = [{ name: "get_time", arguments: { of: "Köln" } }];
  simulator.next({ calls: [{ name: "tool_search", arguments: { query: "Zeit" } }] }, { calls }, { text: "Noon." });
  const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "What time is it?" }];
  const first = await client.responses.stream({ ...ask, input }).finalResponse();
  const searched = first.output.find((item) => item.type === "tool_search_call");
  expect(searched).toMatchObject({ execution: "client", status: "completed", arguments: { query: "Zeit" } });
  input.push(...(first.output as OpenAI.Responses.ResponseInputItem[]));
  const found = [{ type: "namespace" as const, name: "clock", description: "Times.", tools: [TOOLS[1]!] }];
  input.push({ type: "tool_search_output", call_id: searched!.call_id, execution: "client", tools: found });

  const second = await client.responses.create({ ...ask, input });
  const called = second.output.find((item) => item.type === "function_call");
  expect(called).toMatchObject({ name: "get_time", namespace: "clock", arguments: '{"of":"Köln"}' });
  input.push(...(second.output as OpenAI.Responses.ResponseInputItem[]));
  input.push({ type: "function_call_output", call_id: called!.call_id, output: "12:00" });
  const third = await client.responses.create({ ...ask, input });
  expect(third.output_text).toBe("Noon.");
  for (const [before, after] of [
    [first, second],
    [second, third],
  ] as const) {
    const block = 16;
    expect(after.usage!.input_tokens_details.cached_tokens).toBeGreaterThan(before.usage!.input_tokens - block);
  }
});

it("ends incomplete at max_output_tokens", async () => {
  simulator.next({ text: "a long answer that goes on and on" });
  const response = await client.responses.create({ ...ASK, max_output_tokens: 3 });
  expect(response).toMatchObject({
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
    usage: { output_tokens: 3 },
  });
});

it("ends a stream that failed with `response.failed`, and then properly", async () => {
  simulator.next({ text: "one two three four", fault: { kind: "cut", after: 2 } });
  const headers = { authorization: `Bearer ${evener.key}` };
  const answer = await send(`${evener.url}/v1/responses`, { body: { ...ASK, stream: true }, headers }).answer;
  expect([answer.status, answer.end]).toEqual([200, "complete"]);
  const last = JSON.parse(answer.text.trim().split("\ndata: ").at(-1)!) as unknown;
  expect(last).toMatchObject({
    type: "response.failed",
    response: {
      status: "failed",
      error: { code: "server_error", message: expect.stringContaining("closed the connection") },
    },
  });
  expect(answer.text).not.toContain("response.output_item.done");

  simulator.next({ text: "one two three four", fault: { kind: "cut", after: 2 } });
  const response = await client.responses.stream(ASK).finalResponse();
  expect(response).toMatchObject({ status: "failed", output: [{ type: "message", status: "incomplete" }] });
});

it("refuses stored conversations, and other methods, in OpenAI's form", async () => {
  await expect(client.responses.create({ ...ASK, previous_response_id: "resp_1" })).rejects.toSatisfy(
    (error: unknown) => error instanceof BadRequestError && error.param === "previous_response_id",
  );
  const answer = await fetch(`${evener.url}/v1/responses`, { headers: { authorization: `Bearer ${evener.key}` } });
  expect([answer.status, await answer.json()]).toMatchObject([405, { error: { code: "method_not_allowed" } }]);
});
