import { describe, expect, it } from "vitest";
import { toByteText } from "../../conversation/byte-text.ts";
import { signer } from "./__fixtures__/answer.ts";
import { codec, decoded, messages, refusal, userContent } from "./__fixtures__/decode.ts";

const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });
const billing = "x-anthropic-billing-header: cc_version=2.1.197.d55; cch=0a1b2;";

describe("roles", () => {
  it("keeps system and developer messages where they stood", () => {
    const list = [
      user("a"),
      { role: "system", content: "s" },
      assistant("b"),
      { role: "developer", content: [{ type: "text", text: "d" }] },
    ];
    expect(messages(...list).map((message) => [message.role, message.content])).toEqual([
      ["user", [{ type: "text", text: "a" }]],
      ["system", [{ type: "text", text: "s" }]],
      ["assistant", [{ type: "text", text: "b" }]],
      ["system", [{ type: "text", text: "d" }]],
    ]);
  });

  it("takes an unknown role for a user's, and says so", () => {
    const request = decoded({ messages: [{ role: "critic", content: "no" }] });
    expect(request.messages).toEqual([{ role: "user", content: [{ type: "text", text: "no" }] }]);
    expect(request.ignored).toEqual(["role:critic"]);
  });

  it("keeps a prefilled answer at the end", () => {
    expect(messages(user("a"), assistant("{")).at(-1)).toEqual({
      role: "assistant",
      content: [{ type: "text", text: "{" }],
    });
  });

  it.each([[""], [[]], [[{ type: "text", text: "" }]], [null], [undefined]])(
    "leaves an assistant message of %j out",
    (content) => {
      expect(messages(user("a"), assistant(content), user("b")).map((message) => message.role)).toEqual([
        "user",
        "user",
      ]);
    },
  );
});

describe("system text", () => {
  it("is a string or blocks, without the attribution line in any form", () => {
    const prompt = [{ type: "text", text: "You are." }];
    for (const system of [
      "You are.",
      `${billing}\nYou are.`,
      [
        { type: "text", text: billing },
        { type: "text", text: "You are.", cache_control: { type: "ephemeral" } },
      ],
      [{ type: "text", text: `${billing}\n\nYou are.` }],
      ["You are."],
    ])
      expect(decoded({ system }).system).toEqual(prompt);
    expect(decoded({ system: null }).system).toEqual([]);
    expect(decoded({ system: "" }).system).toEqual([]);
  });

  it("loses the attribution line inside the conversation too, and nothing of the user's", () => {
    expect(
      messages(user(billing), { role: "system", content: billing }, { role: "system", content: `${billing}\nS` }),
    ).toEqual([
      { role: "user", content: [{ type: "text", text: billing }] },
      { role: "system", content: [{ type: "text", text: "S" }] },
    ]);
  });

  it("may add tools in the middle of the conversation", () => {
    const request = decoded({
      tools: [{ name: "Late", input_schema: { type: "object" }, defer_loading: true }],
      messages: [
        user("a"),
        {
          role: "system",
          clear_at: "next_user_message",
          content: [
            { type: "text", text: "New tools." },
            { type: "tool_addition", tool: { type: "tool_reference", name: "Late" } },
            {
              type: "tool_addition",
              tool: { type: "tool_definition", definition: { name: "Inline", input_schema: { type: "object" } } },
            },
            { type: "tool_removal", tool: { type: "tool_reference", name: "Old" } },
          ],
        },
      ],
    });
    expect(request.messages.slice(1)).toEqual([
      { role: "system", content: [{ type: "text", text: "New tools." }] },
      {
        role: "user",
        content: [
          { type: "tool-reference", name: "Late" },
          { type: "tool-reference", name: "Inline" },
        ],
      },
    ]);
    expect(request.tools.map((tool) => [tool.name, tool.type === "function" && tool.deferred])).toEqual([
      ["Late", true],
      ["Inline", true],
    ]);
    expect(request.ignored).toEqual(["block:tool_removal", "field:clear_at"]);
  });

  it("may set the effort from there on", () => {
    const request = decoded({
      output_config: { effort: "high" },
      messages: [user("a"), { role: "system", output_config: { effort: "low" } }],
    });
    expect(request.reasoning.effort).toBe("low");
  });
});

describe("user content", () => {
  it("is a string or blocks, to the same effect", () => {
    expect(messages(user("hi"))).toEqual(messages(user([{ type: "text", text: "hi", citations: null }])));
    expect(messages(user(["hi"]))).toEqual(messages(user("hi")));
  });

  it("has images from each source", () => {
    const base64 = { type: "base64", media_type: "image/png", data: "aGk=" };
    expect(
      userContent(
        { type: "image", source: base64 },
        { type: "image", source: { type: "url", url: "https://x.test/a.png" } },
        { type: "image", source: { type: "file", file_id: "file_1" } },
      ),
    ).toEqual([
      { type: "image", source: { kind: "base64", mediaType: "image/png", data: "aGk=" } },
      { type: "image", source: { kind: "url", url: "https://x.test/a.png" } },
      { type: "text", text: expect.stringContaining("image file_1") },
    ]);
  });

  it("has documents from each source", () => {
    const document = (source: unknown) => ({
      type: "document",
      title: "T",
      context: "C",
      source,
      citations: { enabled: true },
    });
    const part = (source: unknown) => ({ type: "document", title: "T", context: "C", source });
    expect(
      userContent(
        document({ type: "text", media_type: "text/plain", data: "words" }),
        document({ type: "base64", media_type: "application/pdf", data: "JVBERi0=" }),
        document({ type: "base64", media_type: "text/markdown", data: Buffer.from("# Ü").toString("base64") }),
        document({ type: "url", url: "https://x.test/a.pdf" }),
        document({ type: "content", content: "plain" }),
        document({
          type: "content",
          content: [
            { type: "text", text: "one" },
            { type: "text", text: "two" },
            { type: "image", source: { type: "url", url: "https://x.test/b.png" } },
            { type: "text", text: "three" },
          ],
        }),
      ),
    ).toEqual([
      part({ kind: "text", text: "words" }),
      part({ kind: "pdf", data: "JVBERi0=" }),
      part({ kind: "text", text: "# Ü" }),
      part({ kind: "url", url: "https://x.test/a.pdf" }),
      part({ kind: "text", text: "plain" }),
      part({ kind: "text", text: "one\ntwo" }),
      { type: "image", source: { kind: "url", url: "https://x.test/b.png" } },
      part({ kind: "text", text: "three" }),
    ]);
  });

  it("says where a document cannot be read", () => {
    const request = decoded({
      messages: [
        user([
          { type: "document", source: { type: "file", file_id: "file_9" } },
          { type: "document", source: { type: "base64", media_type: "application/msword", data: "AAAA" } },
        ]),
      ],
    });
    expect(request.messages[0]!.content).toMatchObject([
      { type: "text", text: expect.stringContaining("file_9") },
      { type: "text", text: expect.stringContaining("application/msword") },
    ]);
    expect(request.ignored).toEqual(["source:file", "source:application_msword"]);
  });

  it("has search results as text", () => {
    const content = [{ type: "text", text: "Evener shares." }];
    expect(userContent({ type: "search_result", title: "Docs", source: "https://x.test", content })).toEqual([
      { type: "text", text: "Docs\nhttps://x.test\n\nEvener shares." },
    ]);
  });

  it("keeps a block of an unknown type as text, without what moves between turns", () => {
    const block = { type: "hologram", depth: 3, cache_control: { type: "ephemeral" } };
    const request = decoded({ messages: [user([block])] });
    expect(request.messages[0]!.content).toEqual([{ type: "text", text: '[hologram] {"type":"hologram","depth":3}' }]);
    expect(request.ignored).toEqual(["block:hologram"]);
  });
});

describe("tool results", () => {
  const result = (content: unknown, more = {}) =>
    userContent({ type: "tool_result", tool_use_id: "t1", content, ...more })[0];

  it("are strings or parts, to the same effect", () => {
    const expected = { type: "tool-result", callId: "t1", content: [{ type: "text", text: "ok" }], isError: false };
    expect(result("ok")).toEqual(expected);
    expect(result([{ type: "text", text: "ok" }], { is_error: false })).toEqual(expected);
  });

  it("may be empty, missing, or failed", () => {
    for (const content of ["", [], null, undefined]) expect(result(content)).toMatchObject({ content: [] });
    expect(result("no such file", { is_error: true })).toMatchObject({ isError: true });
  });

  it("hold every kind of part", () => {
    expect(
      result([
        { type: "text", text: "a" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "d" } },
        { type: "tool_reference", tool_name: "WebFetch" },
        { type: "search_result", title: "T", source: "S", content: [{ type: "text", text: "b" }] },
        { type: "browser_state", tabs: [] },
      ]),
    ).toMatchObject({
      content: [
        { type: "text", text: "a" },
        { type: "image" },
        { type: "document", source: { kind: "text", text: "d" } },
        { type: "tool-reference", name: "WebFetch" },
        { type: "text", text: "T\nS\n\nb" },
        { type: "text", text: '[browser_state] {"type":"browser_state","tabs":[]}' },
      ],
    });
  });

  it("keep the order in which they came, whatever the order of the calls", () => {
    const content = ["t2", "t1"].map((id) => ({ type: "tool_result", tool_use_id: id, content: id }));
    expect(userContent(...content)).toMatchObject([{ callId: "t2" }, { callId: "t1" }]);
  });
});

describe("assistant content", () => {
  const parts = (...content: unknown[]) => messages(user("a"), assistant(content))[1]?.content;
  const call = (input: unknown) =>
    (parts({ type: "tool_use", id: "t", name: "T", input }) as { arguments: string }[])[0]!.arguments;

  it("keeps a call's arguments as they came", () => {
    expect(call({ b: 1, a: { z: [1.5, null], y: "ü" } })).toBe('{"b":1,"a":{"z":[1.5,null],"y":"ü"}}');
    expect(call({})).toBe("{}");
    expect(call(undefined)).toBe("{}");
    expect(call(null)).toBe("{}");
  });

  it("gives arguments that were no JSON object back as the model wrote them", () => {
    expect(call('{"path": "/a')).toBe('{"path": "/a');
  });

  it("keeps integers beyond 2^53", () => {
    const input = '{"id":9007199254740993,"n":[-12345678901234567890,1]}';
    const body = JSON.stringify({
      model: "m",
      messages: [assistant([{ type: "tool_use", id: "t", name: "T", input: 0 }])],
    });
    const request = codec.decode(body.replace('"input":0', `"input":${input}`), {});
    expect(request.messages[0]!.content).toMatchObject([{ arguments: input }]);
  });

  it("knows whose thinking it was", () => {
    const signature = signer.sign(toByteText("Hm – so."));
    expect(
      parts(
        { type: "thinking", thinking: "Hm – so.", signature },
        { type: "thinking", thinking: "Hm, so.", signature },
        { type: "thinking", thinking: "Other", signature: "bW9jaw==" },
        { type: "thinking", thinking: "Bare", signature: "" },
        { type: "thinking", thinking: "Barer" },
        { type: "thinking", thinking: "", signature: "x" },
      ),
    ).toEqual([
      { type: "reasoning", text: "Hm – so.", signed: "ours" },
      { type: "reasoning", text: "Hm, so.", signed: "foreign" },
      { type: "reasoning", text: "Other", signed: "foreign" },
      { type: "reasoning", text: "Bare", signed: "none" },
      { type: "reasoning", text: "Barer", signed: "none" },
    ]);
  });

  it("drops ciphers, and says so", () => {
    const request = decoded({
      messages: [
        user("a"),
        assistant([
          { type: "redacted_thinking", data: "xx" },
          { type: "text", text: "b" },
        ]),
      ],
    });
    expect(request.messages[1]!.content).toEqual([{ type: "text", text: "b" }]);
    expect(request.ignored).toEqual(["block:redacted_thinking"]);
  });

  it("tells in words what Anthropic's server tools did", () => {
    const words = parts(
      { type: "server_tool_use", id: "s1", name: "web_search", input: { query: "vllm" } },
      {
        type: "web_search_tool_result",
        tool_use_id: "s1",
        content: [{ type: "web_search_result", title: "vLLM", url: "https://vllm.test", encrypted_content: "zzz" }],
      },
      {
        type: "web_search_tool_result",
        tool_use_id: "s2",
        content: { type: "web_search_tool_result_error", error_code: "max_uses_exceeded" },
      },
      {
        type: "web_fetch_tool_result",
        tool_use_id: "s3",
        content: {
          type: "web_fetch_result",
          url: "https://a.test",
          content: { type: "document", source: { type: "text", media_type: "text/plain", data: "page" } },
        },
      },
      { type: "mcp_tool_use", id: "m", name: "find", server_name: "kb", input: { q: 1 } },
      { type: "mcp_tool_result", tool_use_id: "m", is_error: true, content: [{ type: "text", text: "down" }] },
      {
        type: "bash_code_execution_tool_result",
        tool_use_id: "c",
        content: { type: "bash_code_execution_result", stdout: "out", stderr: "err", return_code: 3, content: [] },
      },
      { type: "container_upload", file_id: "file_3" },
    ) as { text: string }[];
    expect(words.map((part) => part.text)).toEqual([
      '[the server tool web_search was called with {"query":"vllm"}]',
      "[the web search answered]\n- vLLM (https://vllm.test)",
      "[the web search failed: max_uses_exceeded]",
      "[the web fetch answered]\nhttps://a.test\npage",
      '[the MCP tool kb/find was called with {"q":1}]',
      "[the MCP tool failed]\ndown",
      "[the code execution answered]\nout\nerr\n[exit code 3]",
      '[container_upload] {"type":"container_upload","file_id":"file_3"}',
    ]);
  });

  it("splits where Anthropic's tool search loaded tools", () => {
    const found = {
      type: "tool_search_tool_result",
      tool_use_id: "s",
      content: {
        type: "tool_search_tool_search_result",
        tool_references: [{ type: "tool_reference", tool_name: "Late" }],
      },
    };
    expect(
      messages(user("a"), assistant([{ type: "text", text: "b" }, found, { type: "text", text: "c" }])).slice(1),
    ).toEqual([
      { role: "assistant", content: [{ type: "text", text: "b" }] },
      { role: "user", content: [{ type: "tool-reference", name: "Late" }] },
      { role: "assistant", content: [{ type: "text", text: "c" }] },
    ]);
  });

  it("takes a compaction's summary as text", () => {
    expect(parts({ type: "compaction", content: "So far: …" })).toEqual([{ type: "text", text: "So far: …" }]);
    expect(parts({ type: "compaction", content: null })).toBeUndefined();
  });
});

describe("a wrong message is refused by its path", () => {
  it.each([
    [undefined, "messages: Field required"],
    ["hi", "messages: Input should be a valid array"],
    [[], "messages: at least one message is required"],
    [[assistant("")], "messages: at least one message must have content"],
    [["hi"], "messages.0: Input should be a valid object"],
    [[{ content: "x" }], "messages.0.role: Field required"],
    [[user("a"), { role: "user" }], "messages.1.content: Field required"],
    [[user(3)], "messages.0.content: Input should be a valid array"],
    [[user([3])], "messages.0.content.0: Input should be a valid object"],
    [[user([{ text: "a" }])], "messages.0.content.0.type: Field required"],
    [[user([{ type: "text" }])], "messages.0.content.0.text: Field required"],
    [[user([{ type: "text", text: 1 }])], "messages.0.content.0.text: Input should be a valid string"],
    [[user([{ type: "image" }])], "messages.0.content.0.source: Field required"],
    [
      [user([{ type: "image", source: { type: "base64", media_type: "image/png" } }])],
      "messages.0.content.0.source.data: Field required",
    ],
    [[user([{ type: "tool_result", content: "x" }])], "messages.0.content.0.tool_use_id: Field required"],
    [
      [user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "text" }] }])],
      "messages.0.content.0.content.0.text: Field required",
    ],
    [[assistant([{ type: "tool_use", name: "T", input: {} }])], "messages.0.content.0.id: Field required"],
    [
      [assistant([{ type: "tool_use", id: "t", name: "", input: {} }])],
      "messages.0.content.0.name: String should have at least 1 character",
    ],
  ])("%j", (list, message) => {
    const error = refusal({ messages: list });
    expect(error.code).toBe("invalid_request");
    expect(error.message).toBe(message);
    expect(error.param).toBe(message.slice(0, message.indexOf(":")));
  });
});
