import { describe, expect, it } from "vitest";
import { decoded, refusal } from "./__fixtures__/decode.ts";

const schema = { type: "object", properties: { b: { type: "string" }, a: { type: "integer" } }, required: ["b"] };
const tools = (...list: unknown[]) => decoded({ tools: list }).tools;

describe("tools", () => {
  it("of the client's own come with or without a type", () => {
    const expected = { type: "function", name: "T", description: "Does.", schema, deferred: false };
    const tool = { name: "T", description: "Does.", input_schema: schema, cache_control: { type: "ephemeral" } };
    expect(tools(tool, { type: "custom", ...tool }, { type: null, ...tool })).toEqual([expected, expected, expected]);
  });

  it("keep their order, their schemas' key order, and what they say of themselves", () => {
    const [late, strict] = tools(
      { name: "B", input_schema: schema, defer_loading: true, eager_input_streaming: true },
      { name: "A", input_schema: { z: 1, a: 2 }, strict: true },
    );
    expect(late).toEqual({ type: "function", name: "B", schema, deferred: true });
    expect(strict).toMatchObject({ name: "A", strict: true });
    expect(JSON.stringify(strict)).toContain('{"z":1,"a":2}');
  });

  it.each([
    [{ type: "web_search_20250305", name: "web_search", max_uses: 8 }, "web_search"],
    [{ type: "web_fetch_20260318", name: "web_fetch" }, "web_fetch"],
    [{ type: "code_execution_20250825", name: "code_execution" }, "code_execution"],
    [{ type: "computer_20250124", name: "computer", display_width_px: 1, display_height_px: 1 }, "computer"],
    [{ type: "tool_search_tool_regex", name: "tool_search_tool_regex" }, "tool_search_tool_regex"],
    [{ type: "mcp_toolset", mcp_server_name: "kb" }, "kb"],
    [{ type: "browser_toolset_20260801" }, "browser_toolset_20260801"],
    [{ type: "levitation_20280101", name: "levitation" }, "levitation"],
  ])("of the server are named as such: %j", (tool, name) => {
    expect(tools(tool)).toEqual([{ type: "server", name, kind: tool.type }]);
  });

  it("that a search on the server would load late are there from the start", () => {
    const late = { name: "late", input_schema: schema, defer_loading: true };
    const search = { type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" };
    expect(tools(search, late, { name: "early", input_schema: schema })).toMatchObject([
      { type: "server" },
      { name: "late", deferred: false },
      { name: "early", deferred: false },
    ]);
    expect(tools(late)).toMatchObject([{ name: "late", deferred: true }]);
  });

  it.each([
    [{ type: "bash_20250124", name: "bash" }, "command"],
    [{ type: "text_editor_20250728", name: "str_replace_based_edit_tool" }, "insert_text"],
    [{ type: "text_editor_20241022", name: "str_replace_editor" }, "new_str"],
    [{ type: "memory_20250818", name: "memory" }, "new_path"],
  ])("that Claude knows by heart are shown with their parameters: %j", (tool, parameter) => {
    const [decodedTool] = tools(tool);
    expect(decodedTool).toMatchObject({
      type: "function",
      name: tool.name,
      deferred: false,
      description: expect.any(String),
      schema: { type: "object", properties: { command: {}, [parameter]: { type: "string" } } },
    });
  });

  it("of an unknown type with a schema are the client's", () => {
    const request = decoded({ tools: [{ type: "gadget_1", name: "G", input_schema: schema }] });
    expect(request.tools).toEqual([{ type: "function", name: "G", schema, deferred: false }]);
    expect(request.ignored).toEqual(["tool:gadget_1"]);
  });

  it.each([
    ["x", "tools: Input should be a valid array"],
    [[1], "tools.0: Input should be a valid object"],
    [[{ name: "T" }], "tools.0.input_schema: Field required (tool T)"],
    [
      [{ type: "custom", name: "T", input_schema: [] }],
      "tools.0.input_schema: Input should be a valid object (tool T)",
    ],
    [[{ input_schema: schema }], "tools.0.name: Field required"],
    [[{ name: "", input_schema: schema }], "tools.0.name: String should have at least 1 character"],
    [[{ name: "T", description: 3, input_schema: schema }], "tools.0.description: Input should be a valid string"],
  ])("%j are refused by their path", (list, message) => {
    expect(refusal({ tools: list }).message).toBe(message);
  });
});

describe("tool_choice", () => {
  const choice = (tool_choice: unknown) => {
    const { toolChoice, parallelToolCalls } = decoded({ tools: [{ name: "T", input_schema: schema }], tool_choice });
    return [toolChoice, parallelToolCalls];
  };

  it("is each of Anthropic's four, or not given", () => {
    expect(choice({ type: "auto" })).toEqual([{ type: "auto" }, undefined]);
    expect(choice({ type: "any", disable_parallel_tool_use: true })).toEqual([{ type: "required" }, false]);
    expect(choice({ type: "tool", name: "T", disable_parallel_tool_use: false })).toEqual([
      { type: "tool", name: "T" },
      true,
    ]);
    expect(choice({ type: "none" })).toEqual([{ type: "none" }, undefined]);
    expect(choice(null)).toEqual([undefined, undefined]);
  });

  it.each([
    ["auto", "tool_choice: Input should be a valid object"],
    [{ type: "maybe" }, 'tool_choice.type: Input should be "auto", "any", "tool" or "none"'],
    [{ type: "tool" }, "tool_choice.name: Field required"],
    [{ type: "tool", name: "U" }, "tool_choice.name: tool U is not among the tools"],
    [{ type: "any" }, 'tool_choice: "any" may only be specified while providing tools'],
  ])("%j is refused", (tool_choice, message) => {
    expect(refusal({ tool_choice }).message).toBe(message);
  });
});
