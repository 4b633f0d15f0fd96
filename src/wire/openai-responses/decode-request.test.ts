import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { JsonObject } from "../../conversation/request.ts";
import { openaiResponses } from "./codec.ts";
import { packReasoning } from "./reasoning-carrier.ts";

const decode = (body: JsonObject, headers: RequestHeaders = {}) =>
  openaiResponses.decode(JSON.stringify({ model: "m", input: "hi", ...body }), headers);
const capture = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../../test/fixtures/captures/${path}.json`, import.meta.url), "utf8")) as {
    headers: Record<string, string>;
    body: JsonObject & { input: JsonObject[]; tools: JsonObject[] };
  };

describe("Codex", () => {
  it("loses nothing of a turn with a call and its result", () => {
    const { headers, body } = capture("codex-0.169.0/02-2");
    const request = decode(body, headers);
    const textOf = (at: number) => (body.input[at]!["content"] as { text: string }[]).map(({ text }) => text);
    expect(request.system.map((part) => part.text)).toEqual([...textOf(0), ...textOf(1)]);
    expect(request.messages).toEqual([
      { role: "user", content: textOf(2).map((text) => ({ type: "text", text })) },
      { role: "user", content: [{ type: "text", text: "make a file" }] },
      {
        role: "assistant",
        content: [
          { type: "text", text: "Working." },
          {
            type: "tool-call",
            id: body.input[5]!["call_id"],
            name: "exec_command",
            arguments: body.input[5]!["arguments"],
          },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool-result",
            callId: body.input[6]!["call_id"],
            content: [{ type: "text", text: body.input[6]!["output"] }],
            isError: false,
          },
        ],
      },
    ]);
    const functions = body.tools.flatMap((tool) => (tool["tools"] as JsonObject[] | undefined) ?? [tool]);
    const named = functions.filter((tool) => tool["type"] === "function");
    expect(new Set(request.tools.map((tool) => tool.name))).toEqual(new Set(named.map((tool) => tool["name"])));
    for (const tool of named) {
      expect(request.tools).toContainEqual(
        expect.objectContaining({ name: tool["name"], description: tool["description"], schema: tool["parameters"] }),
      );
    }
    expect(request.answerForm?.responses?.tools.get("spawn_agent")).toEqual({
      name: "spawn_agent",
      namespace: "multi_agent_v1",
      kind: "function",
    });
    expect(request).toMatchObject({
      stream: true,
      toolChoice: { type: "auto" },
      parallelToolCalls: true,
      identity: { session: headers["session-id"] },
      ignored: ["tool:web_search", "field:client_metadata"],
    });
    expect(request.identity).not.toHaveProperty("agent");
  });

  it("goes on from the request before, word for word", () => {
    const [first, second] = ["01-1", "02-2"].map((name) => decode(capture(`codex-0.169.0/${name}`).body));
    expect(second!.messages.slice(0, first!.messages.length)).toEqual(first!.messages);
    expect(second!.system).toEqual(first!.system);
  });

  it("has its agents hear each other", () => {
    const said = (...content: object[]) => ({ type: "agent_message", author: "/root/a", recipient: "/root", content });
    const hidden = { type: "encrypted_content", encrypted_content: "gAAAA" };
    const { messages, ignored } = decode({
      input: [{ role: "user", content: "hi" }, said(hidden), said({ type: "input_text", text: "Done." })],
    });
    expect(messages.slice(1)).toEqual([{ role: "user", content: [{ type: "text", text: "Done." }] }]);
    expect(ignored).toEqual(["block:encrypted_content"]);
  });

  it("has its agents told apart by their threads", () => {
    expect(decode({}, { "session-id": "s", "thread-id": "t" }).identity).toEqual({ session: "s", agent: "t" });
    expect(decode({}, { "thread-id": "t" }).identity).toEqual({ session: "t" });
    expect(decode({ prompt_cache_key: "k" }).identity).toEqual({ session: "k" });
  });
});

describe("input", () => {
  it("keeps late developer messages where they stand", () => {
    const input = [
      { role: "user", content: "a" },
      { type: "message", role: "developer", content: [{ type: "input_text", text: "b" }] },
    ];
    const { system, messages } = decode({ instructions: "be brief", input });
    expect(system).toEqual([{ type: "text", text: "be brief" }]);
    expect(messages[1]).toEqual({ role: "system", content: [{ type: "text", text: "b" }] });
  });

  it("puts reasoning, text and calls of one answer together, and drops only what others encrypted", () => {
    const carried = packReasoning(Buffer.from("dénken").toString("latin1"));
    const { messages, ignored } = decode({
      input: [
        { type: "reasoning", summary: [], encrypted_content: carried },
        { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "mehr" }] },
        { type: "reasoning", summary: [{ type: "summary_text", text: "x" }], encrypted_content: "gAAAA" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "yes" }] },
        { type: "custom_tool_call", call_id: "c", name: "patch", input: "*** Begin\n" },
        { type: "custom_tool_call_output", call_id: "c", output: [{ type: "input_text", text: "ok" }] },
      ],
    });
    expect(messages).toEqual([
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "dénken", signed: "none" },
          { type: "reasoning", text: "mehr", signed: "none" },
          { type: "text", text: "yes" },
          { type: "tool-call", id: "c", name: "patch", arguments: '{"input":"*** Begin\\n"}' },
        ],
      },
      {
        role: "user",
        content: [{ type: "tool-result", callId: "c", content: [{ type: "text", text: "ok" }], isError: false }],
      },
    ]);
    expect(ignored).toEqual(["block:reasoning"]);
  });

  it.each(["developer", "system"])("reads images that a %s message shows, leading or late", (role) => {
    const shown = {
      role,
      content: [
        { type: "input_text", text: "so" },
        { type: "input_image", image_url: "data:image/png;base64,AAAA" },
      ],
    };
    const image = { type: "image", source: { kind: "base64", mediaType: "image/png", data: "AAAA" } };
    const message = { role: "system", content: [{ type: "text", text: "so" }, image] };
    const { system, messages, ignored } = decode({
      instructions: "be brief",
      input: [{ role, content: "text" }, shown, { role: "user", content: "hi" }, shown],
    });
    expect(system.map(({ text }) => text)).toEqual(["be brief", "text"]);
    expect(messages).toEqual([message, { role: "user", content: [{ type: "text", text: "hi" }] }, message]);
    expect(ignored).toEqual([]);
  });

  it("reads images and files", () => {
    const content = [
      { type: "input_image", image_url: "data:image/png;base64,AAAA" },
      { type: "input_file", filename: "a.txt", file_data: "data:text/plain;base64,aGk=" },
    ];
    expect(decode({ input: [{ role: "user", content }] }).messages[0]?.content).toEqual([
      { type: "image", source: { kind: "base64", mediaType: "image/png", data: "AAAA" } },
      { type: "document", title: "a.txt", source: { kind: "text", text: "hi" } },
    ]);
  });

  it.each([
    [{ previous_response_id: "resp_1" }, "previous_response_id", /not stored here/],
    [{ conversation: "c" }, "conversation", /not stored here/],
    [{ background: true }, "background", /not stored here/],
    [{ input: [{ type: "item_reference", id: "x" }] }, "input[0]", /nothing is stored here/],
    [{ input: [] }, "input", /must not be empty/],
    [{ input: 7 }, "input", /string or an array/],
    [
      { input: [{ role: "user", content: [{ type: "input_image", file_id: "f" }] }] },
      "input[0].content[0].image_url",
      /./,
    ],
    [{ tool_choice: { type: "function", name: "x" } }, "tool_choice", /no tool "x"/],
    [
      { tools: [{ type: "web_search" }], tool_choice: { type: "web_search" } },
      "tool_choice.type",
      /^tool_choice\.type: web_search is a tool that nobody runs here; .* auto to be answered without$/,
    ],
    [{ tool_choice: { type: 7 } }, "tool_choice.type", /must be function or allowed_tools/],
  ])("%j is refused", (body, param, words) => {
    expect(() => decode(body)).toThrow(
      expect.objectContaining({ code: "invalid_request", param, message: expect.stringMatching(words) }),
    );
  });
});

describe("a search for tools that the client runs", () => {
  const tool = (name: string, description = "") => ({ type: "function", name, description, defer_loading: true });
  const search = {
    type: "tool_search",
    execution: "client",
    description: "finds tools",
    parameters: { type: "object" },
  };
  const found = (callId: string | null, ...tools: object[]) => ({
    type: "tool_search_output",
    call_id: callId,
    execution: "client",
    tools,
  });
  const call = { type: "tool_search_call", call_id: "s1", execution: "client", arguments: { query: "weather" } };
  const weather = {
    type: "namespace",
    name: "sky",
    description: "",
    tools: [tool("read", "of the sky"), tool("rain")],
  };
  const input = [{ role: "user", content: "hi" }, call, found("s1", weather, tool("tides"))];

  it("is a function, and makes what it found callable where it was found", () => {
    const { tools, messages, ignored, answerForm } = decode({ tools: [tool("read"), search], input });
    expect(tools.map(({ name, ...rest }) => [name, "deferred" in rest && rest.deferred])).toEqual([
      ["read", false],
      ["tool_search", false],
      ["tides", true],
      ["sky__read", true],
      ["rain", true],
    ]);
    expect(messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: [{ type: "tool-call", id: "s1", name: "tool_search", arguments: '{"query":"weather"}' }],
      },
      {
        role: "user",
        content: [
          {
            type: "tool-result",
            callId: "s1",
            content: ["tides", "sky__read", "rain"].map((name) => ({ type: "tool-reference", name })),
            isError: false,
          },
        ],
      },
    ]);
    expect(ignored).toEqual([]);
    expect(answerForm?.responses?.tools.get("sky__read")).toEqual({ name: "read", namespace: "sky", kind: "function" });
    expect(answerForm?.responses?.tools.get("tool_search")).toEqual({ name: "tool_search", kind: "search" });
  });

  it("leaves all that stood before a later search as it was, the definition of what is found again too", () => {
    const first = decode({ tools: [search], input });
    const again = found("s2", tool("read"), tool("tides", "in other words"), { type: "web_search" });
    const second = decode({ tools: [search], input: [...input, { ...call, call_id: "s2" }, again] });
    expect(second.tools.slice(0, first.tools.length)).toEqual(first.tools);
    expect(second.messages.slice(0, first.messages.length)).toEqual(first.messages);
    expect(second.tools.slice(first.tools.length).map(({ name }) => name)).toEqual(["read_"]);
    expect(second.messages.at(-1)?.content).toMatchObject([
      {
        callId: "s2",
        content: [{ name: "read_" }, { name: "tides" }].map((each) => ({ type: "tool-reference", ...each })),
      },
    ]);
    expect(second.ignored).toEqual(["tool:web_search"]);
  });

  it("can be chosen, and may find nothing", () => {
    const { toolChoice, messages } = decode({
      tools: [search],
      tool_choice: { type: "tool_search" },
      input: [call, found("s1")],
    });
    expect(toolChoice).toEqual({ type: "tool", name: "tool_search" });
    expect(messages[1]?.content).toMatchObject([{ content: [{ type: "text", text: "No tool was found." }] }]);
  });

  it("that another server ran leaves what it found, for whoever can call it", () => {
    const server = { ...call, call_id: null, execution: "server" };
    const { tools, messages } = decode({
      tools: [{ type: "tool_search" }],
      input: [{ role: "user", content: "hi" }, server, found(null, tool("tides"))],
    });
    expect(tools).toMatchObject([{ name: "tides", deferred: true }]);
    expect(messages.slice(1)).toEqual([{ role: "user", content: [{ type: "tool-reference", name: "tides" }] }]);
  });
});

describe("parameters", () => {
  it("gives a tool of a namespace another name only where its own is taken, and finds it again", () => {
    const tool = (name: string) => ({ type: "function", name, parameters: { type: "object" } });
    const { tools, messages } = decode({
      tools: [{ type: "namespace", name: "crm", description: "", tools: [tool("find"), tool("read")] }, tool("read")],
      input: [{ type: "function_call", call_id: "c", namespace: "crm", name: "read", arguments: "{}" }],
    });
    expect(tools.map((each) => each.name)).toEqual(["read", "find", "crm__read"]);
    expect(messages[0]?.content[0]).toMatchObject({ name: "crm__read" });
  });

  it("has the tools that items of the input add beside its own, each once and as it was said last", () => {
    const tool = (name: string, description: string) => ({ type: "function", name, description, strict: false });
    const added = (...tools: object[]) => ({ type: "additional_tools", role: "developer", tools });
    const { tools, messages, ignored, answerForm, toolChoice } = decode({
      tools: [tool("read", "first"), tool("crm__read", "flat")],
      input: [
        added({ type: "namespace", name: "crm", tools: [tool("read", "crm's")] }, { type: "custom", name: "patch" }),
        { role: "developer", content: "be brief" },
        { role: "user", content: "hi" },
        added(tool("read", "last"), { type: "web_search" }),
      ],
      tool_choice: "required",
    });
    expect(tools.map((each) => [each.name, "description" in each ? each.description : undefined])).toEqual([
      ["read", "last"],
      ["crm__read", "flat"],
      ["patch", undefined],
      ["crm__read_", "crm's"],
    ]);
    expect(answerForm?.responses?.tools.get("crm__read_")).toEqual({
      name: "read",
      namespace: "crm",
      kind: "function",
    });
    expect(messages).toEqual([{ role: "user", content: [{ type: "text", text: "hi" }] }]);
    expect([toolChoice, ignored]).toEqual([{ type: "required" }, ["tool:web_search"]]);
    const wrong = { input: [{ role: "user", content: "hi" }, added({ type: "function" })] };
    expect(() => decode(wrong)).toThrow(expect.objectContaining({ param: "input[1].tools[0].name" }));
  });

  it("makes functions of free-text tools, which can be chosen", () => {
    const format = { type: "grammar", syntax: "lark", definition: "start: X" };
    const { tools, toolChoice } = decode({
      tools: [{ type: "custom", name: "patch", description: "patches", format }],
      tool_choice: { type: "custom", name: "patch" },
    });
    expect(tools).toMatchObject([
      {
        name: "patch",
        description: expect.stringMatching(/^patches\n\n.*\nstart: X$/s),
        schema: { required: ["input"] },
      },
    ]);
    expect(toolChoice).toEqual({ type: "tool", name: "patch" });
  });

  it("reads what has an effect and notes what has none", () => {
    const schema = { type: "object" };
    expect(
      decode({
        store: true,
        max_output_tokens: 9,
        temperature: 0.5,
        top_p: 0.9,
        reasoning: { effort: "high", summary: "auto" },
        text: { format: { type: "json_schema", name: "n", schema, strict: true }, verbosity: "low" },
        include: ["reasoning.encrypted_content", "message.output_text.logprobs"],
        repetition_penalty: 1.1,
        service_tier: "auto",
      }),
    ).toMatchObject({
      maxTokens: 9,
      sampling: { temperature: 0.5, topP: 0.9 },
      reasoning: { mode: "on", effort: "high" },
      output: { type: "json-schema", name: "n", schema, strict: true },
      extensions: { repetition_penalty: 1.1 },
      ignored: ["field:text.verbosity", "field:include.message.output_text.logprobs", "field:service_tier"],
    });
  });

  it("sends an engine's parameter on where it is false, too", () => {
    expect(decode({ skip_special_tokens: false, metadata: null, safe: false })).toMatchObject({
      extensions: { skip_special_tokens: false },
      ignored: [],
    });
  });

  it("allows the tools that it knows of those that are allowed", () => {
    const tools = [
      ...["a", "b"].map((name) => ({ type: "function", name, parameters: { type: "object" } })),
      { type: "custom", name: "patch" },
      { type: "mcp", server_label: "wiki" },
    ];
    const allowed = (...names: object[]) =>
      decode({ tools, tool_choice: { type: "allowed_tools", mode: "auto", tools: names } });
    const hosted = [{ type: "mcp", server_label: "wiki", name: "ask" }, { type: "image_generation" }];
    const some = allowed({ type: "function", name: "a" }, { type: "custom", name: "patch" }, ...hosted);
    expect(some.tools.map(({ name }) => name)).toEqual(["a", "patch"]);
    expect(some.toolChoice).toEqual({ type: "auto" });
    expect(allowed(...hosted).toolChoice).toEqual({ type: "none" });
  });
});
