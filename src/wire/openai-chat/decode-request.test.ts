import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GatewayError } from "../../conversation/errors.ts";
import { openaiChat } from "./codec.ts";

const FIXTURES = new URL("__fixtures__/", import.meta.url);

type Capture = { headers: Record<string, string>; body: Record<string, unknown> };

function capture(name: string): Capture {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), "utf8")) as Capture;
}

const decode = (body: unknown, headers: Record<string, string> = {}) =>
  openaiChat.decode(typeof body === "string" ? body : JSON.stringify(body), headers);

/** The smallest request, with more. */
const ask = (more: Record<string, unknown> = {}) => ({
  model: "m",
  messages: [{ role: "user", content: "hi" }],
  ...more,
});

function refusal(body: unknown): GatewayError {
  try {
    decode(body);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("accepted");
}

describe("captured requests", () => {
  const names = readdirSync(FIXTURES).map((file) => file.replace(/\.json$/, ""));
  it.each(names)("%s decodes and leaves nothing out", (name) => {
    const { headers, body } = capture(name);
    const request = decode(body, headers);
    expect(request.ignored).toEqual([]);
    expect(request.model).toBe(body["model"]);
    const wire = body["messages"] as { role: string; content: string; tool_calls?: { function: object }[] }[];
    expect(request.system.length + request.messages.length).toBe(wire.length);
    const texts = wire.map((message) => message.content).filter((text) => typeof text === "string" && text !== "");
    for (const text of texts) expect(JSON.stringify(request)).toContain(JSON.stringify(text));
    for (const call of wire.flatMap((message) => message.tool_calls ?? [])) {
      const part = expect.objectContaining(call.function);
      expect(request.messages).toContainEqual(expect.objectContaining({ content: expect.arrayContaining([part]) }));
    }
    const tools = (body["tools"] ?? []) as { function: { name: string; parameters: object } }[];
    expect(request.tools.map((tool) => tool.name)).toEqual(tools.map((tool) => tool.function.name));
    expect(JSON.stringify(request.tools.map((tool) => tool.type === "function" && tool.schema))).toBe(
      JSON.stringify(tools.map((tool) => tool.function.parameters)),
    );
  });

  it("takes OpenCode's session from its headers, and its wish for usage", () => {
    const { headers, body } = capture("opencode-4");
    const request = decode(body, headers);
    expect(request.identity).toEqual({ session: "ses_dfc320982ffel13QxMciHkxthd" });
    expect(request).toMatchObject({ stream: true, maxTokens: 8192, answerForm: { usageChunk: true } });
    expect(request.messages.map((message) => message.role)).toEqual(["user", "assistant", "user", "assistant", "user"]);
    expect(request.messages[2]).toEqual({
      role: "user",
      content: [
        {
          type: "tool-result",
          callId: "call_pmznfrcvd0n0",
          content: [{ type: "text", text: "(no output)" }],
          isError: false,
        },
      ],
    });
  });

  it("decodes request N+1 of a session to a continuation of request N", () => {
    const { system, tools, messages } = decode(capture("opencode-1").body);
    const later = decode(capture("opencode-4").body);
    expect(later.system).toEqual(system);
    expect(later.tools).toEqual(tools);
    expect(later.messages.slice(0, messages.length)).toEqual(messages);
  });
});

describe("messages", () => {
  const messages = (...list: object[]) => decode(ask({ messages: list }));

  it("keeps images in system messages, leading or late", () => {
    const shown = { role: "system", content: [{ type: "image_url", image_url: { url: "https://x.test/a.png" } }] };
    const image = { type: "image", source: { kind: "url", url: "https://x.test/a.png" } };
    const { system, messages, ignored } = decode({
      model: "m",
      messages: [shown, { role: "user", content: "c" }, shown],
    });
    expect(system).toEqual([]);
    expect(messages.map(({ content }) => content)).toEqual([[image], [{ type: "text", text: "c" }], [image]]);
    expect(ignored).toEqual([]);
  });

  it("takes leading system and developer messages as system text, and keeps later ones in place", () => {
    const request = messages(
      { role: "system", content: "a" },
      { role: "developer", content: [{ type: "text", text: "b" }] },
      { role: "user", content: "hi" },
      { role: "system", content: "late" },
    );
    expect(request.system).toEqual([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ]);
    expect(request.messages).toEqual([
      { role: "user", content: [{ type: "text", text: "hi" }] },
      { role: "system", content: [{ type: "text", text: "late" }] },
    ]);
  });

  it.each([[null], [""], [[]], [undefined]])("keeps an assistant message whose content is %j", (content) => {
    const request = messages({ role: "user", content: "hi" }, { role: "assistant", content });
    expect(request.messages[1]).toEqual({ role: "assistant", content: [] });
  });

  it.each([
    [{ reasoning_content: "why" }],
    [{ reasoning: "why" }],
    [{ reasoning: "why", reasoning_content: "why" }],
    [{ reasoning_content: "", reasoning: "why" }],
  ])("takes reasoning back once from %j", (fields) => {
    const request = messages({ role: "assistant", content: "so", ...fields });
    expect(request.messages[0]?.content).toEqual([
      { type: "reasoning", text: "why", signed: "none" },
      { type: "text", text: "so" },
    ]);
  });

  it("keeps arguments byte for byte, and makes JSON of those that are none", () => {
    const call = (id: string, args: unknown) => ({ id, type: "function", function: { name: "f", arguments: args } });
    const request = messages({
      role: "assistant",
      content: null,
      tool_calls: [
        call("a", '{ "n" : 12345678901234567890 }'),
        call("b", { x: 1 }),
        call("c", ""),
        call("d", "{broken"),
      ],
    });
    expect(request.messages[0]?.content.map((part) => part.type === "tool-call" && part.arguments)).toEqual([
      '{ "n" : 12345678901234567890 }',
      '{"x":1}',
      "{}",
      "{broken",
    ]);
  });

  it("keeps a tool result whose call is not in the conversation", () => {
    const request = messages({ role: "tool", tool_call_id: "nobody", content: "x" });
    expect(request.messages[0]?.content[0]).toMatchObject({ type: "tool-result", callId: "nobody" });
  });

  it("pairs legacy function calls and results by name, with ids that stay", () => {
    const turn = (name: string) => [
      { role: "assistant", content: null, function_call: { name, arguments: "{}" } },
      { role: "function", name, content: "done" },
    ];
    const request = messages({ role: "user", content: "hi" }, ...turn("f"), ...turn("g"), ...turn("f"));
    const ids = request.messages
      .flatMap<object>((message) => message.content)
      .map((part) => ("callId" in part ? part.callId : "id" in part ? part.id : undefined));
    expect(ids).toEqual([
      undefined,
      "call_legacy_0",
      "call_legacy_0",
      "call_legacy_1",
      "call_legacy_1",
      "call_legacy_2",
      "call_legacy_2",
    ]);
  });

  it("reads images, PDF and text files, and refuses what it cannot show the model", () => {
    const content = (part: object) => messages({ role: "user", content: [part] }).messages[0]?.content[0];
    expect(content({ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } })).toEqual({
      type: "image",
      source: { kind: "base64", mediaType: "image/png", data: "AAAA" },
    });
    expect(content({ type: "image_url", image_url: { url: "data:image/svg+xml,%3Csvg/%3E" } })).toEqual({
      type: "image",
      source: { kind: "base64", mediaType: "image/svg+xml", data: Buffer.from("<svg/>").toString("base64") },
    });
    expect(content({ type: "image_url", image_url: { url: "https://x/y.png" } })).toEqual({
      type: "image",
      source: { kind: "url", url: "https://x/y.png" },
    });
    expect(
      content({ type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" } }),
    ).toEqual({
      type: "document",
      title: "a.pdf",
      source: { kind: "pdf", data: "AA==" },
    });
    expect(content({ type: "file", file: { file_data: "data:text/plain;base64,w6k=" } })).toEqual({
      type: "document",
      source: { kind: "text", text: "é" },
    });
    const at = (part: object) => refusal(ask({ messages: [{ role: "user", content: [part] }] })).param;
    expect(at({ type: "image_url", image_url: { url: "file:///etc/passwd" } })).toBe(
      "messages[0].content[0].image_url",
    );
    expect(at({ type: "input_audio", input_audio: {} })).toBe("messages[0].content[0].type");
    expect(at({ type: "file", file: { file_id: "file-1" } })).toBe("messages[0].content[0].file");
  });

  it("accepts unknown roles and parts, and says so", () => {
    const request = messages({
      role: "critic",
      content: [{ type: "thought", text: "hm" }, { type: "blob" }],
      name: "x",
    });
    expect(request.messages).toEqual([{ role: "user", content: [{ type: "text", text: "hm" }] }]);
    expect(request.ignored).toEqual(["field:message.name", "role:critic", "block:blob"]);
  });
});

describe("tools", () => {
  const tool = (name: string) => ({ type: "function", function: { name, parameters: { type: "object" } } });
  const tools = [tool("a"), tool("b")];
  const allowed = (mode: string, ...names: string[]) => ({
    type: "allowed_tools",
    allowed_tools: { mode, tools: names.map((name) => ({ type: "function", function: { name } })) },
  });

  it.each([
    ["auto", { type: "auto" }],
    ["none", { type: "none" }],
    ["required", { type: "required" }],
    [
      { type: "function", function: { name: "b" } },
      { type: "tool", name: "b" },
    ],
    [allowed("required", "b"), { type: "tool", name: "b" }],
    [allowed("auto"), { type: "none" }],
  ])("tool_choice %j leaves the tools alone", (choice, expected) => {
    const request = decode(ask({ tools, tool_choice: choice }));
    expect(request.toolChoice).toEqual(expected);
    expect(request.tools.map((each) => each.name)).toEqual(["a", "b"]);
  });

  it("leaves out the tools that allowed_tools does not name", () => {
    const request = decode(ask({ tools, tool_choice: allowed("auto", "b") }));
    expect(request.tools.map((each) => each.name)).toEqual(["b"]);
    expect(request.toolChoice).toEqual({ type: "auto" });
  });

  it("passes over a custom tool among the allowed, as among the tools", () => {
    const { mode, tools: names } = allowed("auto", "b").allowed_tools;
    const custom = { type: "custom", custom: { name: "c" } };
    const choice = { type: "allowed_tools", allowed_tools: { mode, tools: [custom, ...names] } };
    expect(decode(ask({ tools: [...tools, custom], tool_choice: choice })).tools.map((each) => each.name)).toEqual([
      "b",
    ]);
  });

  it.each([
    [{ type: "function", function: { name: "c" } }, "tool_choice"],
    [allowed("required", "c"), "tool_choice.allowed_tools.tools"],
    [allowed("required"), "tool_choice.allowed_tools.tools"],
    ["sometimes", "tool_choice"],
  ])("refuses tool_choice %j", (choice, param) => {
    expect(refusal(ask({ tools, tool_choice: choice })).param).toBe(param);
  });

  it("refuses a required tool where there is none, and drops a choice that chooses nothing", () => {
    expect(refusal(ask({ tool_choice: "required" })).param).toBe("tool_choice");
    expect(decode(ask({ tool_choice: "auto" }))).not.toHaveProperty("toolChoice");
  });

  it("notes tools that are not functions", () => {
    const request = decode(ask({ tools: [{ type: "custom", custom: { name: "x" } }, tool("a")] }));
    expect(request.ignored).toEqual(["tool:custom"]);
    expect(request.tools).toHaveLength(1);
  });

  it("reads legacy functions, at most one call an answer", () => {
    const request = decode(ask({ functions: [{ name: "f", parameters: {} }], function_call: { name: "f" } }));
    expect(request).toMatchObject({
      tools: [{ name: "f" }],
      toolChoice: { type: "tool", name: "f" },
      parallelToolCalls: false,
      answerForm: { legacyFunctionCall: true },
    });
  });
});

describe("parameters", () => {
  it("reads OpenAI's, and sampling that engines add", () => {
    const request = decode(
      ask({
        max_tokens: 5,
        max_completion_tokens: 7,
        temperature: 0,
        top_p: 0.5,
        top_k: -1,
        min_p: 0.1,
        seed: 3,
        frequency_penalty: 1,
        presence_penalty: -1,
        stop: "x",
        stream: null,
      }),
    );
    expect(request).toMatchObject({
      stream: false,
      maxTokens: 7,
      sampling: { temperature: 0, topP: 0.5, topK: -1, minP: 0.1, seed: 3, frequencyPenalty: 1, presencePenalty: -1 },
      stop: ["x"],
      reasoning: { mode: "unset" },
    });
    expect(request.ignored).toEqual([]);
  });

  it.each([
    [{ reasoning_effort: "high" }, { mode: "on", effort: "high" }],
    [{ reasoning_effort: "none" }, { mode: "off" }],
    [{ reasoning: { effort: "low" } }, { mode: "on", effort: "low" }],
    [{ reasoning: { max_tokens: 100 } }, { mode: "on", budget: 100 }],
    [{ reasoning: { enabled: false } }, { mode: "off" }],
    [{ thinking: { type: "enabled", budget_tokens: 9 } }, { mode: "on", budget: 9 }],
    [{ thinking: { type: "disabled" } }, { mode: "off" }],
    [{ enable_thinking: true }, { mode: "on" }],
  ])("reads the reasoning wish of %j", (fields, expected) => {
    expect(decode(ask(fields)).reasoning).toEqual(expected);
  });

  it("reads response formats", () => {
    expect(decode(ask({ response_format: { type: "text" } }))).not.toHaveProperty("output");
    expect(decode(ask({ response_format: { type: "json_object" } })).output).toEqual({ type: "json-object" });
    const schema = { type: "object", properties: { b: {}, a: {} } };
    expect(
      decode(ask({ response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } } }))
        .output,
    ).toEqual({ type: "json-schema", name: "n", schema, strict: true });
  });

  it("sends engine parameters on, and nothing that reaches beyond the request", () => {
    const request = decode(
      ask({
        chat_template_kwargs: { enable_thinking: false },
        repetition_penalty: 1.1,
        cache_salt: "x",
        priority: -5,
        kv_transfer_params: { remote_host: "h" },
        chat_template: "{{ 1 }}",
        logprobs: true,
        store: false,
        user: "u",
        custom_logit_processor: "code",
        "bad name\n": 1,
      }),
    );
    expect(request.extensions).toEqual({ chat_template_kwargs: { enable_thinking: false }, repetition_penalty: 1.1 });
    expect(request.ignored).toEqual([
      "field:cache_salt",
      "field:priority",
      "field:kv_transfer_params",
      "field:chat_template",
      "field:logprobs",
      "field:user",
      "field:custom_logit_processor",
      "field:other",
    ]);
  });

  it("keeps integers beyond 2^53 in schemas and engine parameters", () => {
    const body = `{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":18446744073709551615,
      "tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":9223372036854775807}}}]}`;
    const request = decode(body);
    expect(JSON.stringify(request.extensions)).toBe('{"seed":18446744073709551615}');
    expect(JSON.stringify(request.tools)).toContain('"maximum":9223372036854775807');
  });

  it("reports a bounded number of unknown fields", () => {
    const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`field_${i}`, 1]));
    expect(decode(ask(fields)).ignored.length).toBeLessThanOrEqual(33);
  });

  it.each([
    [ask({ n: 2 }), "n"],
    [ask({ modalities: ["text", "audio"] }), "modalities"],
    [ask({ temperature: "hot" }), "temperature"],
    [ask({ max_tokens: 0 }), "max_tokens"],
    [ask({ max_completion_tokens: 1.5 }), "max_completion_tokens"],
    [ask({ stop: ["a", ""] }), "stop"],
    [ask({ stop: 5 }), "stop"],
    [ask({ stream: "yes" }), "stream"],
    [ask({ response_format: { type: "xml" } }), "response_format.type"],
    [ask({ tools: [{ type: "function" }] }), "tools[0].function"],
    [ask({ messages: [] }), "messages"],
    [ask({ messages: [{ role: "tool", content: "x" }] }), "messages[0].tool_call_id"],
    [ask({ messages: ["hi"] }), "messages[0]"],
    [{ messages: [{ role: "user", content: "hi" }] }, "model"],
    [{ model: "m" }, "messages"],
  ])("refuses %j, naming the field", (body, param) => {
    const error = refusal(body);
    expect(error).toMatchObject({ code: "invalid_request", param });
    expect(error.message.startsWith(`${param}: `)).toBe(true);
  });
});

describe("identity", () => {
  it("prefers Claude Code's headers, then the others', then prompt_cache_key", () => {
    const body = ask({ prompt_cache_key: "key" });
    expect(decode(body).identity).toEqual({ session: "key" });
    expect(decode(body, { session_id: "codex" }).identity).toEqual({ session: "codex" });
    expect(
      decode(body, { "x-session-affinity": "a", "x-claude-code-session-id": "cc", "x-claude-code-agent-id": "sub" })
        .identity,
    ).toEqual({ session: "cc", agent: "sub" });
    expect(decode(ask({ prompt_cache_key: "nul\0" })).identity).toEqual({});
  });
});
