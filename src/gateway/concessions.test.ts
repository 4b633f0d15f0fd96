import { describe, expect, test } from "vitest";
import type { ChatRequest, FunctionTool } from "../conversation/request.ts";
import { request, user } from "../engine/prompt/__fixtures__/requests.ts";
import { chatTarget } from "./chat-target.ts";
import { type Asking, Concessions } from "./concessions.ts";

const TARGET = chatTarget({ models: {} }, "m", undefined);
const tool = (name: string, schema: FunctionTool["schema"] = { type: "object" }): FunctionTool => ({
  type: "function",
  name,
  schema,
  deferred: false,
});
const asked = (fields: Partial<ChatRequest>): Asking => ({
  request: request([user("hi")], fields),
  target: TARGET,
  without: [],
});

describe("an engine without a parser for calls", () => {
  const replica = {};
  const other = {};
  const auto = asked({ tools: [tool("f")] });

  test("is asked for text, and from then on so for ten minutes", () => {
    let now = 0;
    const concessions = new Concessions(
      () => true,
      () => now,
    );
    expect(concessions.asking(auto.request, TARGET, replica).target.callsAsText).toBeUndefined();
    expect(concessions.concede("tool-parser", auto, replica)).toMatchObject({
      target: { callsAsText: true },
      without: [],
    });
    now = 599_999;
    const again = concessions.asking(auto.request, TARGET, replica);
    expect(again.target.callsAsText).toBe(true);
    // It refuses that as well: there is nothing left to give up.
    expect(concessions.concede("tool-parser", again, replica)).toBeUndefined();
    expect(concessions.asking(auto.request, TARGET, other).target.callsAsText).toBeUndefined();
    now = 600_000;
    expect(concessions.asking(auto.request, TARGET, replica).target.callsAsText).toBeUndefined();
  });

  test("cannot be made to call, and the client is told", () => {
    const concessions = new Concessions(() => true);
    for (const toolChoice of [{ type: "required" }, { type: "tool", name: "f" }] as const) {
      const again = concessions.concede("tool-parser", asked({ tools: [tool("f")], toolChoice }), replica);
      expect(again?.without).toEqual(["field:tool_choice"]);
    }
  });

  test("keeps its refusal where no call would be found in the text", () => {
    const concessions = new Concessions((model) => model !== "m");
    expect(concessions.concede("tool-parser", auto, replica)).toBeUndefined();
    expect(concessions.asking(auto.request, TARGET, replica).target.callsAsText).toBeUndefined();
  });
});

describe("an engine that fails where a grammar is to hold the answer", () => {
  const strict = { ...tool("f"), strict: true };
  const output = { type: "json-schema", name: "o", schema: { type: "string", pattern: "^a" } } as const;

  test("is asked for a call without forcing it, each time anew", () => {
    const concessions = new Concessions(() => true);
    for (const toolChoice of [{ type: "required" }, { type: "tool", name: "f" }] as const) {
      const forced = asked({ tools: [strict], toolChoice });
      const again = concessions.concede("constraint", forced, {});
      expect(again).toMatchObject({ request: { toolChoice: { type: "auto" } }, without: ["field:tool_choice"] });
      expect(concessions.asking(forced.request, TARGET, {})).toMatchObject({ request: { toolChoice }, without: [] });
    }
  });

  test("is asked with less for the grammar to hold: keywords, then what is strict", () => {
    const concessions = new Concessions(() => true);
    const first = concessions.concede("constraint", asked({ tools: [strict], output }), {});
    expect(first).toMatchObject({
      request: { tools: [{ strict: true }], output: { schema: { type: "string" } } },
      without: ["schema:pattern"],
    });
    const second = concessions.concede("constraint", first!, {});
    expect(second).toMatchObject({
      request: { tools: [{ strict: false }] },
      without: ["schema:pattern", "field:strict"],
    });
    // The shape of the output is left, and asked for.
    expect(concessions.concede("constraint", second!, {})).toBeUndefined();
  });

  test("has failed for another reason where no grammar is asked for", () => {
    const concessions = new Concessions(() => true);
    const free = asked({ tools: [tool("f", { type: "string", pattern: "^a" })], toolChoice: { type: "auto" } });
    expect(concessions.concede("constraint", free, {})).toBeUndefined();
    const forced = asked({ tools: [strict], toolChoice: { type: "required" } });
    const asText = { ...forced, target: { ...TARGET, callsAsText: true } };
    expect(concessions.concede("constraint", asText, {})).toBeUndefined();
  });
});

describe("schemas that an engine's grammar does not know", () => {
  const url = { type: "object", properties: { url: { type: "string", format: "uri" } } };
  const plain = { type: "object", properties: { url: { type: "string" } } };

  test("go without those keywords: of tools and of the output", () => {
    const concessions = new Concessions(() => true);
    const whole = asked({
      tools: [tool("f", url), { type: "server", name: "web_search", kind: "web_search_20250305" }],
      output: { type: "json-schema", name: "o", schema: { type: "string", pattern: "^a" } },
    });
    const again = concessions.concede("schema-keywords", whole, {});
    expect(again?.request.tools[0]).toMatchObject({ schema: plain });
    expect(again?.request.output).toMatchObject({ schema: { type: "string" } });
    expect(again?.without).toEqual(["schema:format", "schema:pattern"]);
    expect(whole.request.tools[0]).toMatchObject({ schema: url });
  });

  test("stay so for every later request with the same tools, on every engine, and for no other", () => {
    const concessions = new Concessions(() => true);
    concessions.concede("schema-keywords", asked({ tools: [tool("f", url)] }), {});
    const later = concessions.asking(asked({ tools: [tool("f", url)] }).request, TARGET, {});
    expect(later.request.tools).toMatchObject([{ schema: plain }]);
    expect(later.without).toEqual(["schema:format"]);
    const others = asked({ tools: [tool("g", url)] }).request;
    expect(concessions.asking(others, TARGET, {}).request).toBe(others);
    expect(concessions.asking(later.request, { ...TARGET, model: "n" }, {}).without).toEqual([]);
  });

  test("of strict tools hold nothing where plain ones are refused too, from then on", () => {
    const concessions = new Concessions(() => true);
    const whole = asked({ tools: [{ ...tool("f", url), strict: true }, tool("g")] });
    const first = concessions.concede("schema-keywords", whole, {})!;
    const second = concessions.concede("schema-keywords", first, {})!;
    expect(second.request.tools).toEqual([{ ...tool("f", plain), strict: false }, tool("g")]);
    expect(concessions.concede("schema-keywords", second, {})).toBeUndefined();
    expect(concessions.asking(whole.request, TARGET, {})).toEqual(second);
  });

  test("are refused for good where there is nothing to drop", () => {
    const concessions = new Concessions(() => true);
    expect(concessions.concede("schema-keywords", asked({ tools: [tool("f", plain)] }), {})).toBeUndefined();
    expect(concessions.concede("schema-keywords", asked({}), {})).toBeUndefined();
  });

  test("are forgotten, the oldest first, when there are too many", () => {
    const concessions = new Concessions(() => true);
    for (let n = 0; n <= 1_000; n++) concessions.concede("schema-keywords", asked({ tools: [tool(`f${n}`, url)] }), {});
    const without = (name: string) =>
      concessions.asking(asked({ tools: [tool(name, url)] }).request, TARGET, {}).without.length;
    expect([without("f0"), without("f1"), without("f1000")]).toEqual([0, 1, 1]);
  });
});
