import { describe, expect, it } from "vitest";
import type { AssistantPart, ChatRequest, JsonObject, UserPart } from "../../conversation/request.ts";
import { codec } from "./__fixtures__/decode.ts";
import { RECORDED, recorded } from "./__fixtures__/load.ts";

type Tally = Record<keyof ReturnType<typeof emptyTally>, unknown[]>;

const blocksOf = (value: unknown): JsonObject[] =>
  typeof value === "string" ? [{ type: "text", text: value }] : ((value ?? []) as JsonObject[]);

/** What a body holds, counted without the decoder's help: every text, call, result, image and tool, in order. */
function tallyBody(body: JsonObject): Tally {
  const tally = emptyTally();
  for (const block of blocksOf(body["system"])) tallyBlock(block, tally);
  for (const message of body["messages"] as JsonObject[]) {
    tally.roles.push(message["role"]);
    for (const block of blocksOf(message["content"])) tallyBlock(block, tally);
  }
  for (const tool of blocksOf(body["tools"])) {
    const schema = JSON.stringify(tool["input_schema"]);
    tally.tools.push([tool["name"], tool["description"], schema, tool["defer_loading"] === true]);
  }
  return tally;
}

function tallyBlock(block: JsonObject, tally: Tally): void {
  switch (block["type"]) {
    case "text":
      if (!String(block["text"]).startsWith("x-anthropic-billing-header")) tally.texts.push(block["text"]);
      return;
    case "thinking":
      tally.reasoning.push(block["thinking"]);
      return;
    case "tool_use":
      tally.calls.push([block["id"], block["name"], JSON.stringify(block["input"])]);
      return;
    case "tool_reference":
      tally.references.push(block["tool_name"]);
      return;
    case "image": {
      const source = block["source"] as JsonObject;
      tally.images.push([source["media_type"], source["data"]]);
      return;
    }
    case "tool_result":
      tally.results.push([block["tool_use_id"], block["is_error"] === true]);
      for (const part of blocksOf(block["content"])) tallyBlock(part, tally);
      return;
    default:
      throw new Error(`a block that this count does not know: ${JSON.stringify(block)}`);
  }
}

/** The same of what was decoded. */
function tallyRequest(request: ChatRequest): Tally {
  const tally = emptyTally();
  for (const part of request.system) tallyPart(part, tally);
  for (const message of request.messages) {
    tally.roles.push(message.role);
    for (const part of message.content) tallyPart(part, tally);
  }
  for (const tool of request.tools) {
    if (tool.type === "server") tally.tools.push([tool.name, undefined, undefined, false]);
    else tally.tools.push([tool.name, tool.description, JSON.stringify(tool.schema), tool.deferred]);
  }
  return tally;
}

function tallyPart(part: UserPart | AssistantPart, tally: Tally): void {
  if (part.type === "text") tally.texts.push(part.text);
  else if (part.type === "reasoning") tally.reasoning.push(part.text);
  else if (part.type === "tool-call") tally.calls.push([part.id, part.name, part.arguments]);
  else if (part.type === "tool-reference") tally.references.push(part.name);
  else if (part.type === "tool-result") {
    tally.results.push([part.callId, part.isError]);
    for (const inner of part.content) tallyPart(inner, tally);
  } else if (part.type === "image" && part.source.kind === "base64")
    tally.images.push([part.source.mediaType, part.source.data]);
  else throw new Error(`a part that no recording has: ${part.type}`);
}

function emptyTally() {
  const list = (): unknown[] => [];
  return {
    roles: list(),
    texts: list(),
    reasoning: list(),
    calls: list(),
    results: list(),
    references: list(),
    images: list(),
    tools: list(),
  };
}

describe("a recorded request", () => {
  it.each(RECORDED)("of $name loses nothing", ({ headers, body }) => {
    const request = codec.decodeCountTokens(JSON.stringify(body), headers);
    expect(tallyRequest(request)).toEqual(tallyBody(body));
    expect(request.model).toBe(body["model"]);
    expect(request.maxTokens).toBe(body["max_tokens"]);
    expect(request.stream).toBe(body["stream"] ?? false);
    expect(request.ignored).toEqual([]);
  });

  it.each(RECORDED)("of $name decodes the same whatever moves in it between turns", ({ headers, body }) => {
    const moved = JSON.parse(
      JSON.stringify(body, (key, value: unknown) => (key === "cache_control" ? undefined : value)),
    ) as typeof body;
    expect(codec.decode(JSON.stringify(moved), headers)).toEqual(codec.decode(JSON.stringify(body), headers));
  });
});

describe("Claude Code's", () => {
  const decode = (name: string) => {
    const { headers, body } = recorded(name);
    return codec.decode(JSON.stringify(body), headers);
  };

  it("title request wants JSON of a schema", () => {
    const request = decode("claude-code-title");
    expect(request.output).toMatchObject({ type: "json-schema", schema: { required: ["title"] } });
    expect(request.reasoning).toEqual({ mode: "unset", effort: "high" });
    expect(request.system[0]!.text).toMatch(/^You are a Claude agent/);
  });

  it("subagent says who it is", () => {
    const { session, agent } = decode("claude-code-subagent").identity;
    expect(session).toMatch(/^[\w-]{36}$/);
    expect(agent).toBeDefined();
  });

  it("search tool is the server's to run", () => {
    expect(decode("claude-code-web-search").tools).toEqual([
      { type: "server", name: "web_search", kind: "web_search_20250305" },
    ]);
  });

  it("extra fields for the engine are handed on", () => {
    const request = decode("claude-code-extra-body");
    expect(request.extensions).toEqual({ chat_template_kwargs: { enable_thinking: false } });
    expect(request.sampling).toEqual({ temperature: 0.7 });
  });

  it("thinking of another gateway is foreign", () => {
    const { messages } = decode("claude-code-thinking");
    const answer = messages.find((message) => message.role === "assistant");
    expect(answer?.content.filter((part) => part.type === "reasoning")).toEqual([
      { type: "reasoning", text: "I think about it.", signed: "foreign" },
    ]);
  });
});
