import { describe, expect, it } from "vitest";
import { toByteText } from "../../conversation/byte-text.ts";
import { signer } from "./__fixtures__/answer.ts";
import { codec, decoded, messages } from "./__fixtures__/decode.ts";

const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });

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
    const signature = signer.sign(toByteText("Hm – so."), "m");
    expect(
      parts(
        { type: "thinking", thinking: "Hm – so.", signature },
        { type: "thinking", thinking: "Hm, so.", signature },
        { type: "thinking", thinking: "Hm – so.", signature: signer.sign(toByteText("Hm – so."), "another") },
        { type: "thinking", thinking: "Other", signature: "bW9jaw==" },
        { type: "thinking", thinking: "Bare", signature: "" },
        { type: "thinking", thinking: "Barer" },
        { type: "thinking", thinking: "", signature: "x" },
      ),
    ).toEqual([
      { type: "reasoning", text: "Hm – so.", signed: "ours" },
      { type: "reasoning", text: "Hm, so.", signed: "foreign" },
      { type: "reasoning", text: "Hm – so.", signed: "foreign" },
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

  it("says of a server tool's result without content no more than that it came", () => {
    expect(parts({ type: "web_search_tool_result", tool_use_id: "s1" })).toEqual([
      { type: "text", text: "[the web search answered]" },
    ]);
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
