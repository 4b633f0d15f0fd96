import { describe, expect, it } from "vitest";
import { codec, decoded, refusal } from "./__fixtures__/decode.ts";

describe("a request", () => {
  it("needs a model and messages, and nothing else", () => {
    expect(codec.decode('{"model":"m","messages":[{"role":"user","content":"hi"}]}', {})).toEqual({
      model: "m",
      stream: false,
      system: [],
      messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
      tools: [],
      sampling: {},
      stop: [],
      reasoning: { mode: "unset" },
      identity: {},
      extensions: {},
      ignored: [],
    });
  });

  it("has sampling and limits", () => {
    const request = decoded({
      max_tokens: 7,
      temperature: 0,
      top_p: 0.9,
      top_k: 40,
      stop_sequences: ["a", "", "b", "c", "d", "e"],
      stream: true,
    });
    expect(request).toMatchObject({
      maxTokens: 7,
      sampling: { temperature: 0, topP: 0.9, topK: 40 },
      stop: ["a", "b", "c", "d", "e"],
      stream: true,
    });
  });

  it("takes null for not given", () => {
    const fields = [
      "max_tokens",
      "temperature",
      "stop_sequences",
      "tools",
      "system",
      "stream",
      "thinking",
      "safeguards",
    ];
    const { messages: _, ...request } = decoded(Object.fromEntries(fields.map((field) => [field, null])));
    expect(request).toMatchObject({ stream: false, sampling: {}, stop: [], tools: [], ignored: [] });
    expect(request.maxTokens).toBeUndefined();
  });

  it("takes any number of tokens that can be meant", () => {
    const body = '{"model":"m","max_tokens":123456789012345678901,"messages":[{"role":"user","content":"hi"}]}';
    expect(codec.decode(body, {}).maxTokens).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([
    [{ model: undefined }, "model: Field required"],
    [{ model: 3 }, "model: Input should be a valid string"],
    [{ model: "" }, "model: String should have at least 1 character"],
    [{ max_tokens: "7" }, "max_tokens: Input should be a valid number"],
    [{ max_tokens: 0 }, "max_tokens: Input should be greater than or equal to 1"],
    [{ max_tokens: 1.5 }, "max_tokens: Input should be a valid integer"],
    [{ temperature: "hot" }, "temperature: Input should be a valid number"],
    [{ stream: "yes" }, "stream: Input should be a valid boolean"],
    [{ stop_sequences: "x" }, "stop_sequences: Input should be a valid array"],
    [{ stop_sequences: ["x", 1] }, "stop_sequences.1: Input should be a valid string"],
    [{ system: 3 }, "system: Input should be a valid array"],
    [{ system: [{ type: "text" }] }, "system.0.text: Field required"],
    [{ thinking: true }, "thinking: Input should be a valid object"],
    [{ thinking: {} }, "thinking.type: Field required"],
    [{ output_config: 1 }, "output_config: Input should be a valid object"],
    [{ output_config: { format: { type: "json_schema" } } }, "output_config.format.schema: Field required"],
  ])("with %j is refused", (change, message) => {
    const error = refusal(change);
    expect(error.code).toBe("invalid_request");
    expect(error.message).toBe(message);
  });

  it("that leaves its safety check to the server is refused by name, so that the client does it", () => {
    expect(refusal({ safeguards: { auto_mode: {} } }).message).toContain("safeguards");
  });
});

describe("reasoning", () => {
  const wish = (thinking: unknown, output_config?: unknown) => decoded({ thinking, output_config }).reasoning;

  it("is each of Anthropic's ways of asking", () => {
    expect(wish(undefined)).toEqual({ mode: "unset" });
    expect(wish({ type: "enabled", budget_tokens: 4000 })).toEqual({ mode: "on", budget: 4000 });
    expect(wish({ type: "adaptive", display: "summarized" }, { effort: "xhigh" })).toEqual({
      mode: "on",
      effort: "xhigh",
    });
    expect(wish({ type: "between_tools" })).toEqual({ mode: "on" });
    expect(wish({ type: "disabled" })).toEqual({ mode: "off" });
  });

  it("of a kind yet unknown is left to the model", () => {
    const request = decoded({ thinking: { type: "deep" } });
    expect(request.reasoning).toEqual({ mode: "unset" });
    expect(request.ignored).toEqual(["thinking:deep"]);
  });
});

describe("the answer's format", () => {
  const schema = { type: "object", properties: { title: { type: "string" } } };
  const expected = { type: "json-schema", name: "answer", schema };

  it("is a schema in the present or the older place", () => {
    expect(decoded({ output_config: { format: { type: "json_schema", schema } } }).output).toEqual(expected);
    expect(decoded({ output_format: { type: "json_schema", schema } }).output).toEqual(expected);
    expect(decoded({ output_config: { effort: "low" } }).output).toBeUndefined();
  });

  it("of an unknown kind is noted", () => {
    expect(decoded({ output_format: { type: "yaml" } }).ignored).toEqual(["format:yaml"]);
  });
});

describe("what has no effect", () => {
  it("is accepted and named", () => {
    const request = decoded(
      {
        service_tier: "auto",
        container: "c",
        mcp_servers: [],
        speed: "fast",
        cache_control: { type: "ephemeral" },
        "x\ny: z": 1,
        output_config: { task_budget: { type: "tokens", total: 1 } },
        context_management: {
          edits: [
            { type: "clear_thinking_20251015", keep: "all" },
            { type: "clear_thinking_20251015", keep: { type: "thinking_turns", value: 1 } },
            { type: "clear_tool_uses_20250919" },
          ],
        },
      },
      { "anthropic-beta": "claude-code-20250219, effort-2026-12-31,warp-drive-2027-01-01" },
    );
    expect(new Set(request.ignored)).toEqual(
      new Set([
        "field:service_tier",
        "field:container",
        "field:mcp_servers",
        "field:speed",
        "field:x_y__z",
        "field:output_config.task_budget",
        "edit:clear_thinking_20251015",
        "edit:clear_tool_uses_20250919",
        "beta:warp-drive-2027-01-01",
      ]),
    );
  });

  it("cannot fill a header", () => {
    const fields = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`f${at}${"x".repeat(200)}`, 1]));
    const { ignored } = decoded(fields);
    expect(ignored.join(",").length).toBeLessThan(4096);
  });
});

describe("a request to count tokens", () => {
  it("is the same body, and its answer Anthropic's", () => {
    const body = '{"model":"m","messages":[{"role":"user","content":"foo"}],"tools":[],"safeguards":{}}';
    const request = codec.decodeCountTokens(body, {});
    expect(request.messages).toHaveLength(1);
    expect(request.maxTokens).toBeUndefined();
    expect(JSON.parse(codec.encodeCountTokens(4711))).toEqual({ input_tokens: 4711 });
  });
});
