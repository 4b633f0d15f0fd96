/**
 * The gateway's books against a real vLLM's own counters, after a load of everything at once: streamed and whole, tool calls,
 * answers that a stop sequence or their client's leaving cuts off, requests that are refused.
 */
import type { IncomingMessage } from "node:http";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { open } from "../support/http.ts";
import { succeeding } from "../support/succeeding.ts";
import { promptTokens, usageRows, type UsageRow } from "../support/usage.ts";
import { type Counters, SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

/** Rounds of the load, in each of which every kind of request is made once, and how many requests run at a time. */
const ROUNDS = 10;
const AT_ONCE = 8;
/** Each kind of request but the one that no engine is asked. */
const ROWS_A_ROUND = 10;
const ENDLESS = 5_000;

/** Answers that are cut off in a round: two clients leave, one stop sequence comes. */
const CUT_A_ROUND = 3;
/** Share of what the engine wrote; a cut answer may have a chunk of one token besides. */
const TOLERANCE = 0.001;

/** USD a million tokens, of which the ledger makes pico-USD a token. */
const PRICE = { input: "0.60", cacheRead: "0.06", output: "2.40" };
const PICO = { input: 600_000n, cacheRead: 60_000n, output: 2_400_000n };
const CREDIT = "50";

/** Several blocks of the engine's cache, and in every prompt. */
const GUIDE =
  "You keep the books of a small mill and answer whoever asks about them, in as few words as will do. ".repeat(60);

const SCHEMA = {
  type: "object" as const,
  properties: { city: { type: "string", maxLength: 20 }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};

describe("after a mixed load", () => {
  let vllm: Vllm;
  let evener: RunningEvener;
  let rows: UsageRow[];
  /** What the engine counted meanwhile. */
  let engine: Counters;

  const cli = (...args: string[]): Promise<string> => succeeding(evener, ...args);

  beforeAll(async () => {
    vllm = await startVllm({ model: "smollm2" });
    evener = await startEvener({ engines: [vllm.url] });
    const { input, cacheRead, output } = PRICE;
    await cli("price", "set", SERVED_MODEL, "--input", input, "--cache-read", cacheRead, "--output", output);
    await cli("tenant", "create", "mill", "--prepaid");
    await cli("tenant", "credit", "mill", CREDIT);
    const { key } = JSON.parse(await cli("key", "create", "--tenant", "mill", "--json")) as { key: string };
    const before = await vllm.counters();
    await load(evener.url, key);
    await vllm.idle();
    do rows = await usageRows(evener);
    while (rows.length < ROWS_A_ROUND * ROUNDS);
    const after = await vllm.counters();
    engine = {
      promptTokens: after.promptTokens - before.promptTokens,
      cachedTokens: after.cachedTokens - before.cachedTokens,
      generationTokens: after.generationTokens - before.generationTokens,
      maxTokensAsked: after.maxTokensAsked - before.maxTokensAsked,
    };
    console.log(renderBooks(rows, engine));
  });
  afterAll(async () => {
    await evener?.stop();
    await vllm?.stop();
  });

  it("there is one row for each request that the engine was asked", () => {
    const byOutcome = Object.groupBy(rows, ({ outcome }) => outcome);
    const counts = Object.entries(byOutcome).map(([outcome, of = []]) => [outcome, of.length]);
    expect(Object.fromEntries(counts)).toEqual({ ok: 7 * ROUNDS, client_gone: 2 * ROUNDS, error: ROUNDS });
    expect(new Set(rows.map((row) => row.request_id)).size).toBe(rows.length);
    const guessed = rows.filter((row) => row.outcome !== "error" && row.counted_by !== "engine");
    expect(guessed.length).toBeLessThanOrEqual(CUT_A_ROUND * ROUNDS);
  });

  it("the prompts are the engine's to the token", () => {
    expect(sum(rows, promptTokens)).toBe(engine.promptTokens);
  });

  it("the answers are the engine's, but for a token of each that was cut off", () => {
    const unseen = engine.generationTokens - sum(rows, (row) => row.output);
    expect(unseen).toBeGreaterThanOrEqual(0);
    expect(unseen).toBeLessThanOrEqual(TOLERANCE * engine.generationTokens + CUT_A_ROUND * ROUNDS);
  });

  it("no more is taken for cached than was, and less only where an answer was cut off", () => {
    // vLLM says what was cached only in an answer's last chunk, which a cut answer does not reach: what its session had before is taken for it.
    const missing = engine.cachedTokens - sum(rows, (row) => row.cache_read);
    expect(missing).toBeGreaterThanOrEqual(0);
    const cut = rows.filter((row) => row.outcome !== "error" && (row.cache_read === 0 || row.counted_by !== "engine"));
    expect(missing).toBeLessThanOrEqual(sum(cut, promptTokens));
  });

  it("each row costs its tokens, and the tenant has paid the rows", async () => {
    const owed = rows.map((row) => {
      const { input_uncached: uncached, cache_read: read, cache_write: write, output } = row;
      return BigInt(uncached + write) * PICO.input + BigInt(read) * PICO.cacheRead + BigInt(output) * PICO.output;
    });
    expect(rows.map((row) => pico(row.cost_usd))).toEqual(owed);
    const tenants = JSON.parse(await cli("tenant", "list", "--json")) as Record<string, string>[];
    const mill = tenants.find(({ name }) => name === "mill")!;
    expect(pico(mill["balance_usd"]!)).toBe(pico(CREDIT) - owed.reduce((total, each) => total + each, 0n));
    expect(pico(mill["held_usd"]!)).toBe(0n);
  });

  it("the ledger holds together", async () => {
    expect(JSON.parse(await cli("ledger", "verify", "--json"))).toMatchObject({ ok: true });
  });
});

function sum(rows: readonly UsageRow[], of: (row: UsageRow) => number): number {
  return rows.reduce((total, row) => total + of(row), 0);
}

/** USD as pico-USD. */
function pico(usd: string): bigint {
  const [whole = "", fraction = ""] = usd.split(".");
  return BigInt(whole + fraction.padEnd(12, "0"));
}

function renderBooks(rows: readonly UsageRow[], engine: Counters): string {
  const line = (...cells: (string | number)[]): string => cells.map((cell) => String(cell).padStart(12)).join(" ");
  const books = Object.entries(Object.groupBy(rows, ({ outcome }) => outcome)).map(([outcome, of = []]) =>
    line(
      outcome,
      of.length,
      sum(of, promptTokens),
      sum(of, (row) => row.cache_read),
      sum(of, (row) => row.output),
    ),
  );
  return [
    line("", "requests", "prompt", "cached", "output"),
    ...books,
    line(
      "all rows",
      rows.length,
      sum(rows, promptTokens),
      sum(rows, (row) => row.cache_read),
      sum(rows, (row) => row.output),
    ),
    line("engine", "", engine.promptTokens, engine.cachedTokens, engine.generationTokens),
  ].join("\n");
}

/** What each kind of request does, and how it must end. `number` makes prompts differ. */
const KINDS: Record<string, (clients: Clients, number: number) => Promise<void>> = {
  "messages, streamed": async ({ anthropic }, number) => {
    const answer = await anthropic.messages.stream(asked(number, 100)).finalMessage();
    expect(answer.stop_reason).toMatch(/^(end_turn|max_tokens)$/);
  },
  "messages, whole": async ({ anthropic }, number) => {
    const answer = await anthropic.messages.create({ ...asked(number, 80), stream: false });
    expect(answer.stop_reason).toMatch(/^(end_turn|max_tokens)$/);
  },
  "chat, streamed": async ({ openai }, number) => {
    const answer = await openai.chat.completions.stream(chat(number, 90)).finalChatCompletion();
    expect(answer.choices[0]!.finish_reason).toMatch(/^(stop|length)$/);
  },
  "chat, whole": async ({ openai }, number) => {
    const answer = await openai.chat.completions.create({ ...chat(number, 70), stream: false });
    expect(answer.choices[0]!.finish_reason).toMatch(/^(stop|length)$/);
  },
  "messages, a tool call": async ({ anthropic }, number) => {
    const tools = [{ name: "weather", description: "Tells it", strict: true, input_schema: SCHEMA }];
    const params = { ...asked(number, 200), tools, tool_choice: { type: "any" as const } };
    expect(await anthropic.messages.stream(params).finalMessage()).toMatchObject({ stop_reason: "tool_use" });
  },
  "chat, a tool call": async ({ openai }, number) => {
    const tool = { name: "weather", description: "Tells it", strict: true, parameters: SCHEMA };
    const tools = [{ type: "function" as const, function: tool }];
    const params = { ...chat(number, 200), tools, tool_choice: "required" as const };
    expect((await openai.chat.completions.create(params)).choices).toMatchObject([{ finish_reason: "tool_calls" }]);
  },
  "messages, a stop sequence": async ({ anthropic }, number) => {
    // Whatever it says, one of these comes soon.
    const params = { ...asked(number, ENDLESS), stop_sequences: ["e", "a", "i", "o", "u"] };
    expect(await anthropic.messages.stream(params).finalMessage()).toMatchObject({ stop_reason: "stop_sequence" });
  },
  "messages, left": ({ leave }, number) => leave("/v1/messages", { ...asked(number, ENDLESS), stream: true }),
  "chat, left": ({ leave }, number) => leave("/v1/chat/completions", { ...chat(number, ENDLESS), stream: true }),
  "refused by the engine": ({ openai }, number) =>
    refused(openai.chat.completions.create({ ...chat(number, 10), logit_bias: { "99999999": 1 } }), 400),
  "refused by the gateway": ({ anthropic }, number) =>
    refused(anthropic.messages.create({ ...asked(number, 10), model: "nobody's" }), 404),
};

type Clients = { anthropic: Anthropic; openai: OpenAI; leave(path: string, body: object): Promise<void> };

async function load(url: string, key: string): Promise<void> {
  const clients: Clients = {
    anthropic: new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 }),
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 }),
    leave: async (path, body) => {
      const { request, response } = await open(url + path, { headers: { "x-api-key": key }, body });
      await textIn(response);
      request.destroy();
    },
  };
  const requests = Array.from({ length: ROUNDS }, (_, round) => Object.values(KINDS).map((ask) => ({ ask, round })));
  const waiting = requests.flat();
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next.ask(clients, next.round);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Reads a stream until the model's words begin. */
async function textIn(response: IncomingMessage): Promise<void> {
  response.setEncoding("utf8");
  let read = "";
  for await (const piece of response.iterator({ destroyOnReturn: false })) {
    read += String(piece);
    if (/"text_delta"|"content":"[^"]/.test(read)) return;
  }
  throw new Error(`the stream ended before any text: ${read}`);
}

async function refused(answer: PromiseLike<unknown>, status: number): Promise<void> {
  const error: unknown = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ status });
}

function asked(number: number, maxTokens: number) {
  const messages = [{ role: "user" as const, content: `What was milled on day ${number}?` }];
  return { model: SERVED_MODEL, max_tokens: maxTokens, system: GUIDE, messages };
}

function chat(number: number, maxTokens: number) {
  const { system, messages, model } = asked(number, maxTokens);
  return { model, max_tokens: maxTokens, messages: [{ role: "system" as const, content: system }, ...messages] };
}
