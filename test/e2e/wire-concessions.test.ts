/** Requests that an engine takes only in another form: without a tool choice, or without what its grammars do not know of schemas. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { DONE, finish, frame, role, say, usage } from "../support/wire-chunks.ts";
import { type WireAnswer, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { WIRES, type WireName, ask, post, readWhole, startWithConfig, stream } from "../support/wire-gateway.ts";

let engine: WireEngine;
let evener: RunningEvener;

beforeAll(async () => {
  engine = await startWireEngine({ models: ["test-model", "plain-model"] });
  evener = await startWithConfig(engine.url, { models: { "plain-model": { recover_tool_calls: false } } });
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

const refused = (message: string): WireAnswer => ({
  status: 400,
  steps: [JSON.stringify({ error: { message, type: "BadRequestError", param: null, code: 400 } })],
});
const NO_PARSER = refused('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set');
const NO_GRAMMAR = refused("Failed to initialize samplers: failed to parse grammar");

/** As vLLM 0.32 says it of a grammar that it could not compile: behind a 200. */
const WORDLESS: WireAnswer = {
  steps: [role, frame({ error: { message: "Internal server error", type: "InternalServerError", code: 500 } }), DONE],
};

const answer = (...texts: string[]): WireAnswer => ({ steps: [role, ...texts.map(say), finish(), usage(40, 9), DONE] });

const SESSIONS = { anthropic: "8d0f1c9e-6a4b-4c57-9a53-1f6c2b7e9d10", openai: "8d0f1c9e-6a4b-4c57-9a53-1f6c2b7e9d11" };
/** One tool with what only some grammars know; `of` tells those of different tests apart. */
const SCHEMA = (of: string) => ({
  type: "object",
  properties: { url: { type: "string", format: "uri", description: of }, depth: { type: "integer" } },
  required: ["url"],
});
const tools = (wire: WireName, of: string): object =>
  wire === "anthropic"
    ? { tools: [{ name: "Fetch", input_schema: SCHEMA(of) }] }
    : { tools: [{ type: "function", function: { name: "Fetch", parameters: SCHEMA(of) } }] };
const sentSchemas = (from: number) =>
  engine.requests.slice(from).map(({ text }) => {
    const { tools: sent } = JSON.parse(text) as { tools: { function: { parameters: { properties: object } } }[] };
    return sent[0]!.function.parameters.properties;
  });
const PLAIN = (of: string) => ({ url: { type: "string", description: of }, depth: { type: "integer" } });

describe("An engine that takes a request only in another form", () => {
  describe.each(WIRES)("%s", (wire) => {
    it("is asked without the keywords that its grammar does not know, and from then on so", async () => {
      const before = engine.requests.length;
      const session = { "x-claude-code-session-id": SESSIONS[wire] };
      engine.next(NO_GRAMMAR, answer("Hello."), answer("Hello again."));
      const first = await post(evener, wire, ask(tools(wire, wire)), session);
      expect(readWhole(wire, first.text)).toMatchObject({ text: "Hello.", calls: [] });
      const longer = [
        { role: "user", content: "Hello." },
        { role: "assistant", content: "Hello." },
        { role: "user", content: "Again." },
      ];
      const second = await post(evener, wire, ask({ ...tools(wire, wire), messages: longer }), session);
      for (const { headers } of [first, second]) expect(headers["x-evener-ignored"]).toBe("schema:format");
      const [whole, ...plain] = sentSchemas(before);
      expect(whole).toMatchObject({ url: { format: "uri" } });
      expect(plain).toEqual([PLAIN(wire), PLAIN(wire)]);
    });

    it("refuses in its own words what has nothing left to drop", async () => {
      engine.next(NO_GRAMMAR);
      const { status, text } = await post(evener, wire, ask());
      expect([status, text]).toEqual([400, expect.stringContaining("failed to parse grammar")]);
    });

    it("is asked for text where it has no parser for calls, and the calls are found there", async () => {
      const written = '<tool_call>\n{"name": "Fetch", "arguments": {"url": "http://a"}}\n</tool_call>';
      const before = engine.requests.length;
      // On the other wire it has refused already.
      if (wire === "anthropic") engine.next(NO_PARSER);
      engine.next(answer(written), answer("No need."));
      const { verdict } = await stream(evener, wire, tools(wire, "text"));
      expect(verdict).toMatchObject({ problems: [], text: "", calls: [{ name: "Fetch" }] });
      const again = await post(evener, wire, ask(tools(wire, "text")));
      expect(readWhole(wire, again.text)).toMatchObject({ text: "No need.", calls: [] });
      const sent = engine.requests.slice(before).map(({ text }) => JSON.parse(text) as Record<string, unknown>);
      const asText = { tool_choice: "none", skip_special_tokens: false, tools: [{ type: "function" }] };
      expect(sent.slice(wire === "anthropic" ? 1 : 0)).toMatchObject([asText, asText]);
    });

    it("is asked for a call without forcing it where it fails at that", async () => {
      const before = engine.requests.length;
      const forced = { ...tools(wire, "forced"), tool_choice: wire === "anthropic" ? { type: "any" } : "required" };
      const body = ask({ ...forced, model: "plain-model" });
      engine.next(WORDLESS, answer("No need."));
      const { headers, text } = await post(evener, wire, body);
      expect(readWhole(wire, text)).toMatchObject({ text: "No need.", calls: [] });
      expect(headers["x-evener-ignored"]).toBe("field:tool_choice");
      const sent = engine.requests.slice(before).map(({ text: json }) => JSON.parse(json) as Record<string, unknown>);
      expect(sent.map(({ tool_choice }) => tool_choice)).toEqual(["required", "auto"]);
      expect(sent[1]).toEqual({ ...sent[0], tool_choice: "auto" });
    });

    it("has failed where nothing held its answer", async () => {
      engine.next(WORDLESS);
      const { status, text } = await post(evener, wire, ask({ ...tools(wire, "auto"), model: "plain-model" }));
      expect([status, text]).toEqual([502, expect.stringContaining("Internal server error")]);
    });

    it("refuses tools where nobody is to look for calls in the text", async () => {
      engine.next(NO_PARSER);
      const { status, text } = await post(evener, wire, ask({ ...tools(wire, "plain"), model: "plain-model" }));
      expect([status, text]).toEqual([400, expect.stringContaining("--tool-call-parser")]);
    });
  });

  it("both > the prompt of such a session never broke: what was refused was never computed", async () => {
    for (const session of Object.values(SESSIONS)) {
      const { code, stdout } = await evener.cli(["sessions", "show", session]);
      expect([code, stdout]).toEqual([0, expect.stringContaining("2 requests")]);
      expect(stdout).not.toContain("broken");
    }
  });
});
