/** Conversations: what the prefix cache saves from turn to turn, whose answers a script gives, and that all of it repeats. */
import { expect, test } from "vitest";
import { chat, eventData, send, simulate } from "../../test/support/simulator.ts";
import type { SimulatorOptions } from "./options.ts";
import type { JsonObject } from "./script.ts";
import type { Simulator } from "./start.ts";
import { DEFAULT_TEXT } from "./default-answer.ts";

const SYSTEM: JsonObject = { role: "system", content: "You are terse. ".repeat(40) };

async function ask(simulator: Simulator, messages: JsonObject[], more: JsonObject = {}) {
  const { text } = await chat(simulator, { messages, ...more }).answer;
  const { choices, usage } = JSON.parse(text);
  const details = usage.prompt_tokens_details;
  return {
    message: choices[0].message as JsonObject,
    prompt: usage.prompt_tokens,
    output: usage.completion_tokens,
    cached: details.cached_tokens,
    created: details.created_cache_tokens,
  };
}

test("the next turn finds its whole predecessor in the cache, tool calls and reasoning included", async () => {
  const simulator = await simulate({ reasoning: true, blockSize: 16 });
  simulator.next(
    { reasoning: "Let me see.", text: "Reading.", calls: [{ name: "read", arguments: { path: "a" } }] },
    { text: "It says one." },
  );
  const tools = [{ type: "function", function: { name: "read", parameters: { type: "object" } } }];
  const messages: JsonObject[] = [SYSTEM, { role: "user", content: "Read a" }];
  const first = await ask(simulator, messages, { tools });
  expect(first.cached).toBe(0);
  expect(first.created).toBe(Math.floor(first.prompt / 16) * 16);
  messages.push(first.message, { role: "tool", tool_call_id: "x", content: "one" });
  const second = await ask(simulator, messages, { tools });
  // All that was there before, the answer too, but for the block that is not full.
  expect(second.cached).toBeGreaterThan(first.prompt + first.output - 16 - 8);
  expect(simulator.totals).toEqual({
    promptTokens: first.prompt + second.prompt,
    cachedTokens: second.cached,
    generatedTokens: first.output + second.output,
  });
  const { text } = await send(`${simulator.url}/metrics`, { method: "GET" }).answer;
  expect(text).toContain(
    `prefix_cache_queries_total{engine="0",model_name="simulated-model"} ${first.prompt + second.prompt}.0`,
  );
  expect(text).toContain(`prefix_cache_hits_total{engine="0",model_name="simulated-model"} ${second.cached}.0`);
  expect(text).toContain(
    `generation_tokens_total{engine="0",model_name="simulated-model"} ${first.output + second.output}.0`,
  );
});

test("without prefix caching nothing is found, and a salt parts tenants", async () => {
  const messages = [SYSTEM, { role: "user", content: "hi" }];
  const without = await simulate({ prefixCaching: false });
  await ask(without, messages);
  expect(await ask(without, messages)).toMatchObject({ cached: 0, created: 0 });
  const simulator = await simulate();
  await ask(simulator, messages, { cache_salt: "a" });
  expect(await ask(simulator, messages, { cache_salt: "b" })).toMatchObject({ cached: 0 });
  expect((await ask(simulator, messages, { cache_salt: "a" })).cached).toBeGreaterThan(0);
});

test("/tokenize counts what a chat request counts, and /detokenize gives the prompt back", async () => {
  const simulator = await simulate();
  const messages = [SYSTEM, { role: "user", content: "naïve 日本" }];
  const tools = [{ type: "function", function: { name: "read", parameters: { type: "object" } } }];
  const { prompt } = await ask(simulator, messages, { tools });
  const counted = JSON.parse(
    (await send(`${simulator.url}/tokenize`, { body: { messages, tools, return_token_strs: true } }).answer).text,
  );
  expect(counted).toMatchObject({ count: prompt, max_model_len: 131_072 });
  expect(counted.token_strs).toHaveLength(prompt);
  const back = JSON.parse(
    (await send(`${simulator.url}/detokenize`, { body: { tokens: counted.tokens } }).answer).text,
  );
  expect(back.prompt).toBe(counted.token_strs.join(""));
  expect(simulator.requests[0]?.prompt).toBe(back.prompt);
  const wrong = await send(`${simulator.url}/detokenize`, { body: { tokens: [1, 9] } }).answer;
  expect([wrong.status, JSON.parse(wrong.text).error.param]).toEqual([400, "body.tokens.1"]);
});

test("two engines of the same seed answer the same, of another not", async () => {
  const run = async (options: SimulatorOptions): Promise<string[]> => {
    const simulator = await simulate({
      ...options,
      script: () => ({ text: "hm", calls: [{ name: "a", arguments: {} }] }),
    });
    const tools = [{ type: "function", function: { name: "a" } }];
    const answers: string[] = [];
    for (const stream of [true, false, true]) {
      const { text } = await chat(simulator, { messages: [SYSTEM], tools, stream }).answer;
      answers.push(text.replaceAll(/"created":\d+/g, ""));
    }
    return answers;
  };
  const first = await run({ seed: 7 });
  expect(await run({ seed: 7 })).toEqual(first);
  expect(await run({ seed: 8 })).not.toEqual(first);
});

test("without a script it says that it is no model, calls no tool unless it is made to, and keeps to a schema", async () => {
  const simulator = await simulate();
  const messages = [{ role: "user", content: "Do it." }];
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  expect((await ask(simulator, messages, { tools })).message).toMatchObject({ content: DEFAULT_TEXT });
  const forced = (await ask(simulator, messages, { tools, tool_choice: "required" })).message;
  expect(forced).toMatchObject({
    content: "",
    tool_calls: [{ function: { name: "weather", arguments: '{"city":"simulated"}' } }],
  });
  const schema = { type: "object", properties: { title: { type: "string" } }, required: ["title"] };
  const format = { response_format: { type: "json_schema", json_schema: { name: "t", schema } } };
  expect((await ask(simulator, messages, format)).message).toMatchObject({ content: '{"title":"simulated"}' });
  expect((await ask(simulator, messages, { response_format: { type: "json_object" } })).message).toMatchObject({
    content: "{}",
  });
  const choice = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>';
  const made = (await ask(simulator, messages, { tools, structured_outputs: { choice: [choice] } })).message;
  expect(made).toMatchObject({ content: null, tool_calls: [{ function: { arguments: '{"city":"Paris"}' } }] });
});

test("a directive in the prompt asks for exact chunks and counts", async () => {
  const simulator = await simulate({ script: () => ({ text: "never" }) });
  const content = 'Load. [[sim:chunks=7,pt=1234,ttft=1,delay=1,text=a, "b" é]]';
  const request = {
    messages: [SYSTEM, { role: "user", content }],
    stream: true,
    stream_options: { include_usage: true },
  };
  const events = eventData((await chat(simulator, request).answer).text);
  const texts = events.slice(1, -3).map((data) => JSON.parse(data).choices[0].delta.content);
  expect(texts).toEqual(Array.from({ length: 7 }, () => 'a, "b" é'));
  expect(JSON.parse(events.at(-2)!).usage).toMatchObject({ prompt_tokens: 1234, completion_tokens: 7 });
  expect(simulator.totals).toEqual({ promptTokens: 1234, cachedTokens: 0, generatedTokens: 7 });

  const stamped = { messages: [{ role: "user", content: "[[sim:chunks=2,stamp=1]]" }], stream: true };
  const stamps = eventData((await chat(simulator, stamped).answer).text).slice(1, 3);
  expect(stamps.map((data) => JSON.parse(data).choices[0].delta.content)).toEqual([
    expect.stringMatching(/^c00000@\d{19} $/),
    expect.stringMatching(/^c00001@\d{19} $/),
  ]);

  const cut = await ask(simulator, [{ role: "user", content: "[[sim:chunks=50]]" }], { max_tokens: 10 });
  expect(cut).toMatchObject({ output: 10, message: { content: "token ".repeat(10) } });
});

test("only the last requests are kept", async () => {
  const simulator = await simulate({ keepRequests: 2 });
  for (const content of ["a", "b", "c"]) await ask(simulator, [{ role: "user", content }]);
  expect(simulator.requests.map(({ body }) => JSON.stringify(body?.["messages"]))).toEqual([
    expect.stringContaining('"b"'),
    expect.stringContaining('"c"'),
  ]);
});

test("a key is asked for under /v1 where one is set", async () => {
  const simulator = await simulate({ apiKey: "secret" });
  expect((await send(`${simulator.url}/v1/models`, { method: "GET" }).answer).text).toBe('{"error":"Unauthorized"}');
  expect(
    (await send(`${simulator.url}/v1/models`, { method: "GET", headers: { authorization: "Bearer secret" } }).answer)
      .status,
  ).toBe(200);
  expect((await send(`${simulator.url}/health`, { method: "GET" }).answer).status).toBe(200);
});

test("an answer that is asked for on a used connection is not mixed up with another", async () => {
  const simulator = await simulate({ script: (request) => ({ text: `to ${request.userText}` }) });
  const texts = await Promise.all(
    Array.from({ length: 40 }, (_, index) => ask(simulator, [{ role: "user", content: `number ${index}` }])),
  );
  expect(texts.map(({ message }) => message["content"])).toEqual(
    Array.from({ length: 40 }, (_, index) => `to number ${index}`),
  );
});
