/**
 * A real vLLM whose grammars fail: its backend `auto` keeps the grammar engine that the first schema asked for, xgrammar or guidance, and
 * what that one cannot do ends as an "Internal server error" with no word about grammars. Through the built gateway it is answered.
 */
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { usageRows } from "../support/usage.ts";
import { clients } from "../support/wire-gateway.ts";
import { SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

/** A pattern of which xgrammar knows nothing, and guidance does. */
const LETTERS = {
  type: "object",
  properties: { name: { type: "string", pattern: "^\\p{L}+$", maxLength: 12 } },
  required: ["name"],
  additionalProperties: false,
};
const WEATHER = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] };

const params = { model: SERVED_MODEL, max_tokens: 60, messages: [{ role: "user" as const, content: "Say hello." }] };
const forced = {
  ...params,
  tools: [{ type: "function" as const, function: { name: "get_weather", parameters: WEATHER } }],
  tool_choice: "required" as const,
};
const shaped = {
  ...params,
  response_format: { type: "json_schema" as const, json_schema: { name: "person", schema: LETTERS } },
};

/** What a server begins with stays, so that each needs one of its own. */
function useVllm(first: typeof params) {
  let vllm: Vllm;
  let evener: RunningEvener;
  let direct: OpenAI;
  beforeAll(async () => {
    vllm = await startVllm({ model: "smollm2", toBeKilled: true });
    evener = await startEvener({ engines: [vllm.url] });
    direct = new OpenAI({ baseURL: `${vllm.url}/v1`, apiKey: "none", maxRetries: 0 });
    await drain(direct, first);
  });
  afterAll(async () => {
    await evener?.stop();
    await vllm?.stop();
  });
  return {
    clients: () => clients(evener),
    log: () => evener.log(),
    fails: (body: typeof params) => expect(drain(direct, body)).rejects.toThrow("Internal server error"),
    /** Outcomes of all requests, and who counted their tokens. */
    async rows(): Promise<string[]> {
      await vllm.idle();
      return (await usageRows(evener)).map(({ outcome, counted_by }) => `${outcome}, by the ${counted_by}`);
    },
  };
}

describe("a real vLLM that has begun with a forced call", () => {
  const server = useVllm(forced);

  it("answers in a schema's shape without the pattern that it fails at", async () => {
    await server.fails(shaped);
    const { data, response } = await server.clients().openai.chat.completions.create(shaped).withResponse();
    expect(response.headers.get("x-evener-ignored")).toBe("schema:pattern, schema:maxLength");
    expect(data.choices[0]!.message.content).toMatch(/^\s*\{\s*"name"\s*:/);
    expect(await server.rows()).toEqual(["ok, by the engine"]);
  });
});

describe("a real vLLM that has begun with a pattern", () => {
  const server = useVllm(shaped);

  it("answers where a call is forced or strict, and says so", async () => {
    await server.fails(forced);
    const { anthropic, openai } = server.clients();
    const chat = await openai.chat.completions.create(forced).withResponse();
    expect(chat.response.headers.get("x-evener-ignored")).toBe("field:tool_choice");
    const tool = { name: "get_weather", input_schema: WEATHER };
    const asked = { ...params, tools: [tool], tool_choice: { type: "any" as const } };
    const messages = await anthropic.messages.create(asked).withResponse();
    expect(messages.response.headers.get("x-evener-ignored")).toBe("field:tool_choice");
    const strict = await anthropic.messages.create({ ...params, tools: [{ ...tool, strict: true }] }).withResponse();
    expect(strict.response.headers.get("x-evener-ignored")).toBe("field:strict");
    for (const { content } of [messages.data, strict.data]) expect(content).not.toEqual([]);
    expect(server.log().match(/failed where a grammar/g)).toHaveLength(1);
    expect(await server.rows()).toEqual(Array.from({ length: 3 }, () => "ok, by the engine"));
  });
});

/** Reads a stream to its end, or to its error. */
async function drain(client: OpenAI, body: typeof params): Promise<void> {
  for await (const _ of await client.chat.completions.create({ ...body, stream: true })) continue;
}
