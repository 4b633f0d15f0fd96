/** What real harnesses send, as it reaches the engine: nothing refused that can be served, nothing lost without a word. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { DONE, args, call, finish, role, say, textStream, think, usage } from "../support/wire-chunks.ts";
import { type WireBody, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import {
  type Received,
  WIRES,
  type WireName,
  ask,
  post,
  readWhole,
  request,
  startWithConfig,
  stream,
} from "../support/wire-gateway.ts";
import { pdfWith } from "../support/wire-pdf.ts";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

let engine: WireEngine;
let evener: RunningEvener;

beforeAll(async () => {
  engine = await startWireEngine({ models: ["test-model", "seeing-model"], window: 131_072 });
  evener = await startWithConfig(engine.url, {
    models: {
      "test-model": { vision: false, reasoning_replay: "reasoning", thinking_switch: "reasoning_effort" },
      "seeing-model": { vision: true, thinking_switch: "enable_thinking" },
    },
  });
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

/** Sends a request that must be served; gives what the engine got and what the client got. */
async function served(
  wire: WireName,
  more: object,
  headers: Record<string, string> = {},
): Promise<{ engine: WireBody; answer: Received; prompt: string }> {
  engine.next({ steps: textStream("Understood.") });
  const answer = await post(evener, wire, ask(more), headers);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  expect(readWhole(wire, answer.text).text).toBe("Understood.");
  const body = engine.lastBody();
  return { engine: body, answer, prompt: JSON.stringify(body.messages) };
}

const user = (...content: object[]): object => ({ role: "user", content });
const text = (said: string): object => ({ type: "text", text: said });
const TOOL = {
  name: "get_weather",
  description: "Weather",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};
const FUNCTION = {
  type: "function",
  function: { name: "get_weather", description: "Weather", parameters: TOOL.input_schema },
};

describe("Fidelity", () => {
  describe.each(WIRES)("%s", (wire) => {
    const stops = wire === "anthropic" ? { stop_sequences: ["END", "FIN"] } : { stop: ["END", "FIN"] };

    it("stop sequences end the visible text, never the reasoning or a call, and the engine is stopped", async () => {
      let stopped: () => void = () => {};
      const gone = new Promise<void>((resolve) => (stopped = resolve));
      engine.onGone = stopped;
      engine.next({ steps: [role, think("FIN is near"), say("One E"), say("ND two"), "hang"] });
      const { verdict } = await stream(evener, wire, stops);
      expect(verdict).toMatchObject({ problems: [], end: "finish", reasoning: "FIN is near", text: "One " });
      expect(verdict.reason).toBe(wire === "anthropic" ? "stop_sequence" : "stop");
      await gone;
      engine.next({ steps: [role, call(0, "f"), args(0, '{"a":"END"}'), finish("tool_calls"), usage(40, 9), DONE] });
      expect((await stream(evener, wire, stops)).verdict.calls).toMatchObject([{ arguments: '{"a":"END"}' }]);
    });
  });

  describe("anthropic", () => {
    it("system messages inside the conversation keep their place, folded into the message before them", async () => {
      const { engine: body } = await served("anthropic", {
        system: "Head.",
        messages: [
          { role: "user", content: "One." },
          { role: "system", content: "Be brief." },
          { role: "assistant", content: "Two." },
          { role: "user", content: [text("Three.")] },
          { role: "system", content: [text("12,000 tokens left.")] },
        ],
      });
      expect(body.messages.map((message) => message.role)).toEqual(["system", "user", "assistant", "user"]);
      expect(body.messages[0]).toMatchObject({ content: "Head." });
      expect(body.messages[1]?.content).toMatch(/^One\.\s+<system-reminder>\s*Be brief\.\s*<\/system-reminder>$/);
      expect(body.messages[3]?.content).toMatch(/^Three\.\s+<system-reminder>\s*12,000 tokens left\./);
    });

    it("the attribution line of Claude Code is removed, in a block and in a string", async () => {
      const line = "x-anthropic-billing-header: cc_version=2.1.197; cch=abc;";
      for (const system of [[text(line), text("You are X.")], `${line}\nYou are X.`]) {
        const { engine: body } = await served("anthropic", { system });
        expect(body.messages[0]).toEqual({ role: "system", content: "You are X." });
      }
    });

    it("output_config.effort", async () => {
      const { engine: body } = await served("anthropic", {
        thinking: { type: "adaptive" },
        output_config: { effort: "low" },
      });
      expect(body["reasoning_effort"]).toBe("low");
    });

    it("output_config.effort is reported as ignored where the model's template has no word for it", async () => {
      const { engine: body, answer } = await served("anthropic", {
        model: "seeing-model",
        thinking: { type: "adaptive" },
        output_config: { effort: "low" },
      });
      expect(body["reasoning_effort"]).toBeUndefined();
      expect(answer.headers["x-evener-ignored"]).toBe("field:effort");
    });

    it("thinking on and off, by the template's own switch", async () => {
      const on = await served("anthropic", {
        model: "seeing-model",
        max_tokens: 5_000,
        thinking: { type: "enabled", budget_tokens: 2_000 },
      });
      expect(on.engine["chat_template_kwargs"]).toEqual({ enable_thinking: true });
      const off = await served("anthropic", { model: "seeing-model", thinking: { type: "disabled" } });
      expect(off.engine["chat_template_kwargs"]).toEqual({ enable_thinking: false });
    });

    it("output_config.format: a JSON schema, keys in their order", async () => {
      const schema = {
        type: "object",
        properties: { title: { type: "string" }, 7: { type: "null" }, a: {} },
        required: ["title"],
      };
      const { engine: body } = await served("anthropic", {
        output_config: { format: { type: "json_schema", schema } },
      });
      expect(body["response_format"]).toMatchObject({ type: "json_schema", json_schema: { schema } });
    });

    it("context_management, with the edits that have no effect named", async () => {
      const keep = { edits: [{ type: "clear_thinking_20251015", keep: "all" }] };
      expect(
        (await served("anthropic", { context_management: keep })).answer.headers["x-evener-ignored"],
      ).toBeUndefined();
      const clear = { edits: [{ type: "clear_tool_uses_20250919" }] };
      expect((await served("anthropic", { context_management: clear })).answer.headers["x-evener-ignored"]).toBe(
        "edit:clear_tool_uses_20250919",
      );
    });

    it("server tools are declared unavailable to the model, and the harness goes on", async () => {
      const tools = [
        { type: "web_search_20250305", name: "web_search", max_uses: 8 },
        { type: "web_fetch_20250910", name: "web_fetch" },
        TOOL,
      ];
      const { engine: body } = await served("anthropic", { tools });
      expect(body.tools?.map((tool) => tool.function.name)).toEqual(["get_weather"]);
      expect(body.messages[0]?.content).toMatch(/Not available here: web_search, web_fetch/);
    });

    it("a server tool that is the only one, and forced, as Claude Code's search sends it", async () => {
      const { engine: body } = await served("anthropic", {
        tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 8 }],
        tool_choice: { type: "tool", name: "web_search" },
      });
      expect(body.tools).toBeUndefined();
      expect(body["tool_choice"]).toBeUndefined();
    });

    it("a conversation that another server searched in: what was called and found stays, in words", async () => {
      const { prompt } = await served("anthropic", {
        messages: [
          { role: "user", content: "Search." },
          {
            role: "assistant",
            content: [
              { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "capital of Peru" } },
              {
                type: "web_search_tool_result",
                tool_use_id: "srvtoolu_1",
                content: [
                  { type: "web_search_result", title: "Lima", url: "https://example.org/lima", encrypted_content: "x" },
                ],
              },
              text("Lima."),
            ],
          },
          { role: "user", content: "Sure?" },
        ],
      });
      for (const part of ["capital of Peru", "Lima", "https://example.org/lima"]) expect(prompt).toContain(part);
    });

    it("late tools: not at the head, defined where they are referenced", async () => {
      const late = { ...TOOL, name: "late_tool", defer_loading: true };
      const messages = [
        { role: "user", content: "Find a tool." },
        {
          role: "assistant",
          content: [{ type: "tool_use", id: "toolu_1", name: "ToolSearch", input: { query: "late" } }],
        },
        user({
          type: "tool_result",
          tool_use_id: "toolu_1",
          content: [{ type: "tool_reference", tool_name: "late_tool" }],
        }),
      ];
      const search = { ...TOOL, name: "ToolSearch" };
      const { engine: body } = await served("anthropic", { tools: [search, late], messages });
      expect(body.tools?.map((tool) => tool.function.name)).toEqual(["ToolSearch"]);
      expect(body.messages.at(-1)?.content).toMatch(/late_tool is now available[^]*"name":"late_tool"[^]*"city"/);
    });

    it("documents: plain text, a PDF's text, and inside a tool's result", async () => {
      const plain = {
        type: "document",
        title: "Notes",
        source: { type: "text", media_type: "text/plain", data: "buy milk" },
      };
      const pdf = {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: pdfWith("Invoice 4711") },
      };
      const { prompt } = await served("anthropic", { messages: [user(plain, pdf, text("Read."))] });
      expect(prompt).toMatch(/<document title=\\"Notes\\">\\nbuy milk/);
      expect(prompt).toContain("Invoice 4711");
      const inResult = await served("anthropic", {
        messages: [
          { role: "user", content: "Read." },
          { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "Read", input: {} }] },
          user({ type: "tool_result", tool_use_id: "toolu_1", content: [pdf] }),
        ],
      });
      expect(inResult.engine.messages.at(-1)).toMatchObject({
        role: "tool",
        content: expect.stringContaining("Invoice 4711"),
      });
    });

    it("a PDF that cannot be read is said to be one, and the conversation goes on", async () => {
      const broken = {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: "JVBERi0xLjQKbm90IGEgcGRm" },
      };
      expect((await served("anthropic", { messages: [user(broken, text("Read."))] })).prompt).toMatch(
        /PDF whose text could not be read/,
      );
    });

    it("images: seen by a model that sees, also those of a tool's result; named where it does not", async () => {
      const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
      const messages = [
        user(image, text("Look.")),
        { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "Read", input: {} }] },
        user({ type: "tool_result", tool_use_id: "toolu_1", content: [text("a file"), image] }),
      ];
      const seeing = await served("anthropic", { model: "seeing-model", messages });
      expect(seeing.prompt.split(`data:image/png;base64,${PIXEL}`)).toHaveLength(3);
      const blind = await served("anthropic", { messages });
      expect(blind.prompt).not.toContain(PIXEL);
      expect(blind.prompt.split("image omitted")).toHaveLength(3);
    });

    it("thinking: our own signature is verified and its text replayed, byte for byte", async () => {
      engine.next({ steps: [role, think("Let me "), think("think. ö"), say("Yes."), finish(), usage(40, 5), DONE] });
      const { content } = JSON.parse((await post(evener, "anthropic", ask())).text) as { content: object[] };
      expect(content[0]).toMatchObject({ type: "thinking", signature: expect.stringMatching(/./) });
      const messages = [
        { role: "user", content: "Hello." },
        { role: "assistant", content },
        { role: "user", content: "Sure?" },
      ];
      const { engine: body } = await served("anthropic", { messages });
      expect(body.messages[1]).toMatchObject({ role: "assistant", content: "Yes.", reasoning: "Let me think. ö" });
    });

    it("thinking of one model is not another's, whatever names the client has for them", async () => {
      engine.next({ steps: [role, think("mine alone"), say("Yes."), finish(), usage(40, 5), DONE] });
      const asked = await post(evener, "anthropic", ask({ model: "claude-sonnet-4-5" }));
      const { content } = JSON.parse(asked.text) as { content: object[] };
      const messages = [
        { role: "user", content: "Hello." },
        { role: "assistant", content },
        { role: "user", content: "Sure?" },
      ];
      const own = await served("anthropic", { model: "test-model", messages });
      expect(own.engine.messages[1]).toMatchObject({ content: "Yes.", reasoning: "mine alone" });
      const other = await served("anthropic", { model: "seeing-model", messages });
      expect(other.engine.messages[1]).toEqual({ role: "assistant", content: "Yes." });
    });

    it("thinking: a foreign or a forged signature drops the text, redacted blocks have none", async () => {
      engine.next({ steps: [role, think("genuine"), say("Yes."), finish(), usage(40, 5), DONE] });
      const { content } = JSON.parse((await post(evener, "anthropic", ask())).text) as {
        content: { signature: string }[];
      };
      for (const block of [
        { type: "thinking", thinking: "somebody else's", signature: "EqQBCkYIBxgCKkBv" },
        { type: "thinking", thinking: "forged", signature: content[0]?.signature },
        { type: "redacted_thinking", data: "opaque" },
      ]) {
        const messages = [
          { role: "user", content: "Hello." },
          { role: "assistant", content: [block, text("Yes.")] },
          { role: "user", content: "Sure?" },
        ];
        const { engine: body, prompt } = await served("anthropic", { messages });
        expect(body.messages[1]).toEqual({ role: "assistant", content: "Yes." });
        expect(prompt).not.toMatch(/somebody else|forged|opaque/);
      }
    });

    it("empty assistant messages, as a cut leaves them, are left out", async () => {
      for (const content of ["", [], [text("")]]) {
        const messages = [
          { role: "user", content: "One." },
          { role: "assistant", content },
          { role: "user", content: "Two." },
        ];
        const { engine: body, prompt } = await served("anthropic", { messages });
        expect(body.messages.every((message) => message.role === "user")).toBe(true);
        expect(prompt).toMatch(/One\..*Two\./);
      }
    });

    it("parallel results in any order answer their own calls; is_error is shown; what is missing is said", async () => {
      const use = (id: string, city: string): object => ({
        type: "tool_use",
        id,
        name: "get_weather",
        input: { city },
      });
      const { engine: body } = await served("anthropic", {
        tools: [TOOL],
        messages: [
          { role: "user", content: "Weather?" },
          { role: "assistant", content: [use("toolu_a", "Paris"), use("toolu_b", "Rom"), use("toolu_c", "Bonn")] },
          user(
            { type: "tool_result", tool_use_id: "toolu_b", content: "no such city", is_error: true },
            { type: "tool_result", tool_use_id: "toolu_a", content: [text("sunny")] },
            text("And?"),
          ),
        ],
      });
      const tools = body.messages.filter((message) => message.role === "tool");
      expect(tools.map((message) => message["tool_call_id"])).toEqual(["toolu_a", "toolu_b", "toolu_c"]);
      expect(tools.map((message) => message.content)).toEqual([
        "sunny",
        "Error: no such city",
        expect.stringMatching(/no result[^]*And\?$/),
      ]);
    });

    it("what a later version sends, fields, roles, blocks, betas, tools: accepted, counted, and named in a header", async () => {
      const { answer, prompt } = await served(
        "anthropic",
        {
          hologram_config: { depth: 3 },
          messages: [{ role: "critic", content: "Hm." }, user({ type: "hologram", data: "of a cat" }, text("Go on."))],
        },
        { "anthropic-beta": "claude-code-20250219,warp-drive-2027-01-01", "anthropic-version": "2027-01-01" },
      );
      const ignored = answer.headers["x-evener-ignored"]?.split(", ") ?? [];
      expect(ignored.toSorted()).toEqual([
        "beta:warp-drive-2027-01-01",
        "block:hologram",
        "field:hologram_config",
        "role:critic",
      ]);
      expect(prompt).toContain("of a cat");
      const metrics = (await request(evener, "/metrics", { method: "GET" })).text;
      for (const what of ["beta", "block", "field", "role"])
        expect(metrics).toMatch(new RegExp(`evener_\\w*ignored\\w*\\{[^}]*${what}[^}]*\\} [1-9]`));
    });

    it("an output limit above the window is cut to what is left, and said", async () => {
      const { engine: body, answer } = await served("anthropic", { max_tokens: 2_000_000 });
      expect(body["max_tokens"]).toBe(131_072 - 40);
      expect(answer.headers["x-evener-max-tokens"]).toBe(String(131_072 - 40));
    });

    it("count_tokens counts the prompt that would be sent, and refuses nothing that a message may hold", async () => {
      engine.tokens = 321;
      const body = {
        model: "claude-sonnet-4-5",
        system: "Head.",
        tools: [TOOL, { type: "web_search_20250305", name: "web_search" }],
        messages: [user({ type: "hologram" }, text("x"))],
      };
      const counted = await request(evener, "/v1/messages/count_tokens?beta=true", { body });
      engine.tokens = 40;
      expect(counted).toMatchObject({ status: 200, text: '{"input_tokens":321}' });
    });

    it("a call cut by the token limit is a tool_use that the harness can refuse, not text", async () => {
      engine.next({
        steps: [role, call(0, "get_weather"), args(0, '{"city":"Pa'), finish("length"), usage(40, 8), DONE],
      });
      const { verdict } = await stream(evener, "anthropic");
      expect(verdict).toMatchObject({
        problems: [],
        text: "",
        reason: "max_tokens",
        calls: [{ name: "get_weather", arguments: '{"city":"Pa' }],
      });
    });
  });

  describe("openai", () => {
    it("developer and system messages, leading and inside", async () => {
      const { engine: body } = await served("openai", {
        messages: [
          { role: "developer", content: "Head." },
          { role: "user", content: "One." },
          { role: "system", content: "Be brief." },
        ],
      });
      expect(body.messages[0]).toMatchObject({ role: "system", content: "Head." });
      expect(body.messages).toHaveLength(2);
      expect(body.messages[1]?.content).toMatch(/^One\.\s+<system-reminder>\s*Be brief\./);
    });

    it("sampling, seed of 64 bits, and engine parameters, as they came", async () => {
      const more = {
        temperature: 0,
        top_p: 0.9,
        frequency_penalty: 0.1,
        presence_penalty: 0.2,
        top_k: 20,
        min_p: 0.05,
        repetition_penalty: 1.1,
        chat_template_kwargs: { x: 1 },
      };
      const body = JSON.stringify(ask({ ...more, seed: 1 })).replace('"seed":1', '"seed":18446744073709551615');
      engine.next({ steps: textStream("x") });
      expect((await post(evener, "openai", body)).status).toBe(200);
      expect(engine.lastBody()).toMatchObject(more);
      expect(engine.requests.at(-1)?.text).toContain('"seed":18446744073709551615');
    });

    it("tools, tool_choice, parallel_tool_calls and strict", async () => {
      const strict = { ...FUNCTION, function: { ...FUNCTION.function, strict: true } };
      for (const choice of ["auto", "required", "none", { type: "function", function: { name: "get_weather" } }]) {
        const { engine: body } = await served("openai", {
          tools: [strict],
          tool_choice: choice,
          parallel_tool_calls: false,
        });
        expect(body).toMatchObject({ tool_choice: choice, parallel_tool_calls: false });
        expect(body.tools?.[0]?.function).toMatchObject({ name: "get_weather", strict: true });
      }
    });

    it("tool results in any order, and images beside text", async () => {
      const made = (id: string): object => ({
        id,
        type: "function",
        function: { name: "get_weather", arguments: '{"city": "Rom"}' },
      });
      const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
      const messages = [
        { role: "user", content: [text("Look."), image] },
        { role: "assistant", content: null, tool_calls: [made("a"), made("b")] },
        { role: "tool", tool_call_id: "b", content: "second" },
        { role: "tool", tool_call_id: "a", content: [text("first")] },
      ];
      const { engine: body } = await served("openai", { model: "seeing-model", messages });
      expect(body.messages.filter((message) => message.role === "tool").map((message) => message.content)).toEqual([
        "first",
        "second",
      ]);
      expect(body.messages[1]?.["tool_calls"]).toMatchObject([{ function: { arguments: '{"city": "Rom"}' } }, {}]);
      expect(JSON.stringify(body.messages[0])).toContain(PIXEL);
      expect((await served("openai", { messages })).prompt).toContain("image omitted");
    });

    it("earlier reasoning under either name", async () => {
      for (const field of ["reasoning_content", "reasoning"]) {
        const messages = [
          { role: "user", content: "One." },
          { role: "assistant", content: "Two.", [field]: "hm" },
          { role: "user", content: "Three." },
        ];
        const { engine: body } = await served("openai", { messages });
        expect(body.messages[1]).toEqual({ role: "assistant", content: "Two.", reasoning: "hm" });
      }
    });

    it("reasoning_effort, and what other clients call it", async () => {
      for (const wish of [{ reasoning_effort: "high" }, { reasoning: { effort: "high" } }])
        expect((await served("openai", wish)).engine["reasoning_effort"]).toBe("high");
      const off = await served("openai", { model: "seeing-model", enable_thinking: false });
      expect(off.engine["chat_template_kwargs"]).toEqual({ enable_thinking: false });
    });

    it("response_format: json_object and json_schema", async () => {
      for (const response_format of [
        { type: "json_object" },
        { type: "json_schema", json_schema: { name: "x", schema: { type: "object" }, strict: true } },
      ])
        expect((await served("openai", { response_format })).engine["response_format"]).toMatchObject(response_format);
    });

    it("legacy functions are answered in the legacy form", async () => {
      engine.next({ steps: [role, call(0, "get_weather"), args(0, "{}"), finish("tool_calls"), usage(40, 5), DONE] });
      const { text: body } = await post(
        evener,
        "openai",
        ask({ functions: [FUNCTION.function], function_call: "auto" }),
      );
      expect(JSON.parse(body)).toMatchObject({
        choices: [
          { finish_reason: "function_call", message: { function_call: { name: "get_weather", arguments: "{}" } } },
        ],
      });
    });

    it("empty assistant messages, as OpenCode keeps them after a cut", async () => {
      const messages = [
        { role: "user", content: "One." },
        { role: "assistant", content: "" },
        { role: "user", content: "Two." },
      ];
      const { prompt } = await served("openai", { messages });
      expect(prompt).toMatch(/One\..*Two\./);
    });

    it("files: an inline PDF is read", async () => {
      const file = {
        type: "file",
        file: { filename: "invoice.pdf", file_data: `data:application/pdf;base64,${pdfWith("Invoice 4711")}` },
      };
      expect((await served("openai", { messages: [user(text("Read."), file)] })).prompt).toContain("Invoice 4711");
    });

    it("what a later version sends: accepted, counted, and named in a header", async () => {
      const { answer } = await served("openai", {
        hologram_config: 1,
        store: true,
        user: "u",
        messages: [{ role: "critic", content: "Hm." }, user(text("x"))],
      });
      const ignored = answer.headers["x-evener-ignored"]?.split(", ") ?? [];
      expect(ignored).toEqual(
        expect.arrayContaining(["field:hologram_config", "field:store", "field:user", "role:critic"]),
      );
    });

    it("an output limit above the window is cut to what is left, by either name", async () => {
      for (const name of ["max_tokens", "max_completion_tokens"]) {
        const { engine: body } = await served("openai", { max_tokens: undefined, [name]: 2_000_000 });
        expect(body["max_tokens"]).toBe(131_072 - 40);
      }
    });

    it("a call cut by the token limit ends in length, with the arguments that came", async () => {
      engine.next({
        steps: [role, call(0, "get_weather"), args(0, '{"city":"Pa'), finish("length"), usage(40, 8), DONE],
      });
      const { verdict } = await stream(evener, "openai");
      expect(verdict).toMatchObject({
        problems: [],
        text: "",
        reason: "length",
        calls: [{ name: "get_weather", arguments: '{"city":"Pa' }],
      });
    });
  });
});
