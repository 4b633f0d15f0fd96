import { describe, expect, it } from "vitest";
import type { ChatRequest, JsonObject } from "../conversation/request.ts";
import { type ChatTarget, encodeChat, encodePrompt, encodeTokenize } from "./encode-chat.ts";
import { assistant, request, system, tool, user } from "./prompt/__fixtures__/requests.ts";
import { defaultPromptProfile } from "./prompt/prompt-profile.ts";

const target: ChatTarget = { model: "qwen", profile: defaultPromptProfile, streamOptions: true };
const chat = (of: ChatRequest, to: Partial<ChatTarget> = {}) =>
  JSON.parse(encodeChat(of, { ...target, ...to })) as JsonObject;

describe("encodeChat", () => {
  it("writes a plain request with nothing that was not asked for", () => {
    expect(encodeChat(request([user("hi")]), target)).toBe(
      '{"model":"qwen","messages":[{"role":"user","content":"hi"}],"stream":true,' +
        '"stream_options":{"include_usage":true,"continuous_usage_stats":true}}',
    );
  });

  it("writes every parameter in the engine's form", () => {
    const full = request([user("hi")], {
      tools: [tool("Read", { strict: true })],
      toolChoice: { type: "tool", name: "Read" },
      parallelToolCalls: false,
      maxTokens: 9999,
      sampling: { temperature: 0, topP: 0.9, topK: 4, minP: 0.1, seed: 7, frequencyPenalty: 1, presencePenalty: -1 },
      stop: ["END"],
      reasoning: { mode: "off" },
      output: { type: "json-schema", name: "answer", schema: { type: "object" }, strict: true },
      extensions: { repetition_penalty: 1.1 },
    });
    expect(chat(full, { maxTokens: 64, streamOptions: false })).toEqual({
      model: "qwen",
      messages: [{ role: "user", content: "hi" }],
      tools: [
        {
          type: "function",
          function: {
            name: "Read",
            description: "Runs Read",
            parameters: { type: "object", properties: { a: { type: "string" } } },
            strict: true,
          },
        },
      ],
      tool_choice: { type: "function", function: { name: "Read" } },
      parallel_tool_calls: false,
      max_tokens: 64,
      temperature: 0,
      top_p: 0.9,
      top_k: 4,
      min_p: 0.1,
      seed: 7,
      frequency_penalty: 1,
      presence_penalty: -1,
      stop: ["END"],
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: { type: "object" }, strict: true },
      },
      chat_template_kwargs: { enable_thinking: false },
      stream: true,
      repetition_penalty: 1.1,
    });
    expect(chat(request([user("hi")], { output: { type: "json-object" } }))["response_format"]).toEqual({
      type: "json_object",
    });
  });

  it("keeps stop sequences to itself where the gateway looks for them, unless the client wants to see them", () => {
    const stop = { stop: ["END"] };
    expect(chat(request([user("hi")], stop), { ownStops: true })).not.toHaveProperty("stop");
    const shown = request([user("hi")], { ...stop, extensions: { include_stop_str_in_output: true } });
    expect(chat(shown, { ownStops: true })["stop"]).toEqual(["END"]);
  });

  it("keeps the tools when the client allows no call of them", () => {
    const body = chat(request([user("hi")], { tools: [tool("Read")], toolChoice: { type: "none" } }));
    expect(body["tools"]).toHaveLength(1);
    expect(body["tool_choice"]).toBe("none");
  });

  it("keeps the tools, and lets markers of calls be written, where calls come as text", () => {
    const forced = { tools: [tool("Read")], toolChoice: { type: "required" as const }, parallelToolCalls: false };
    const body = chat(request([user("hi")], forced), { callsAsText: true });
    expect(body).toMatchObject({ tool_choice: "none", skip_special_tokens: false, tools: [{ type: "function" }] });
    expect(body).not.toHaveProperty("parallel_tool_calls");
    expect(chat(request([user("hi")]), { callsAsText: true })).not.toHaveProperty("skip_special_tokens");
    const own = request([user("hi")], { ...forced, extensions: { skip_special_tokens: true } });
    expect(chat(own, { callsAsText: true })["skip_special_tokens"]).toBe(true);
  });

  it("writes no tool choice where only the server could have run the tool", () => {
    const tools = [{ type: "server" as const, name: "web_search", kind: "web_search_20250305" }];
    const body = chat(request([user("hi")], { tools, toolChoice: { type: "tool", name: "web_search" } }));
    expect(body).not.toHaveProperty("tools");
    expect(body).not.toHaveProperty("tool_choice");
  });

  it("asks for no tool that it did not list", () => {
    const tools = [tool("Read"), { type: "server" as const, name: "web_search", kind: "web_search_20250305" }];
    const body = chat(request([user("hi")], { tools, toolChoice: { type: "tool", name: "web_search" } }));
    expect(body["tool_choice"]).toBe("auto");
  });

  it("lists a late tool only where the client forces its call", () => {
    const tools = [tool("Read"), tool("Late", { deferred: true })];
    const names = (of: ChatRequest) =>
      (chat(of)["tools"] as { function: { name: string } }[]).map((t) => t.function.name);
    expect(names(request([user("hi")], { tools }))).toEqual(["Read"]);
    expect(names(request([user("hi")], { tools, toolChoice: { type: "tool", name: "Late" } }))).toEqual([
      "Read",
      "Late",
    ]);
  });

  it("writes schemas with their keys in order and their integers whole", () => {
    const schema = JSON.parse('{"z":1,"properties":{"b":{"maximum":9007199254740993},"a":{}}}', (_, value, context) =>
      typeof value === "number" ? JSON.rawJSON(context.source ?? "") : value,
    ) as JsonObject;
    expect(encodeChat(request([user("hi")], { tools: [tool("Read", { schema })] }), target)).toContain(
      '"parameters":{"z":1,"properties":{"b":{"maximum":9007199254740993},"a":{}}}',
    );
  });

  it.each([
    ["always", undefined, true],
    ["always", false, true],
    ["never", true, undefined],
    ["as-sent", false, false],
    ["as-sent", undefined, undefined],
  ] as const)("strict %s of %s is %s", (strictTools, sent, written) => {
    const tools = [tool("Read", sent === undefined ? {} : { strict: sent })];
    const body = chat(request([user("hi")], { tools }), { profile: { ...defaultPromptProfile, strictTools } });
    expect((body["tools"] as { function: { strict?: boolean } }[])[0]!.function.strict).toBe(written);
  });

  it("continues an answer that the client began", () => {
    expect(chat(request([user("hi"), assistant("The capital")]))).toMatchObject({
      add_generation_prompt: false,
      continue_final_message: true,
    });
    expect(chat(request([user("hi")]))).not.toHaveProperty("continue_final_message");
  });

  it("lets no extension replace what the gateway depends on", () => {
    const extensions = {
      stream: false,
      model: "other",
      messages: [],
      max_tokens: 1e6,
      stream_options: {},
      min_tokens: 3,
    };
    expect(chat(request([user("hi")], { extensions }), { maxTokens: 5 })).toMatchObject({
      model: "qwen",
      messages: [{ role: "user", content: "hi" }],
      max_tokens: 5,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
      min_tokens: 3,
    });
  });

  it("puts a client's own template arguments over what its wish means", () => {
    const extensions = { chat_template_kwargs: { enable_thinking: true, depth: 2 } };
    expect(chat(request([user("hi")], { extensions, reasoning: { mode: "off" } }))["chat_template_kwargs"]).toEqual({
      enable_thinking: true,
      depth: 2,
    });
  });
});

describe("a forced call, where the engine takes no name", () => {
  const profile = { ...defaultPromptProfile, namedToolChoice: "only-tool" } as const;
  const to = { ...target, profile };
  const tools = [tool("Read"), tool("Late", { deferred: true }), tool("Write")];
  const names = (body: JsonObject) => (body["tools"] as { function: { name: string } }[]).map((t) => t.function.name);

  it.each(["Write", "Late"])("is the only one that can be made: %s", (name) => {
    const forced = request([user("hi")], { tools, toolChoice: { type: "tool", name } });
    const body = chat(forced, to);
    expect([names(body), body["tool_choice"]]).toEqual([[name], "required"]);
    expect(JSON.parse(encodeTokenize(encodePrompt(forced, to), to))).toMatchObject({ tools: body["tools"] });
  });

  it.each([undefined, { type: "auto" }, { type: "none" }, { type: "required" }] as const)(
    "leaves all tools with any other choice: %j",
    (toolChoice) => {
      const body = chat(request([user("hi")], { tools, ...(toolChoice && { toolChoice }) }), to);
      expect([names(body), body["tool_choice"]]).toEqual([["Read", "Write"], toolChoice?.type]);
    },
  );

  it("leaves the engine to refuse a name that no tool has", () => {
    const body = chat(request([user("hi")], { tools, toolChoice: { type: "tool", name: "No" } }), to);
    expect([names(body), body["tool_choice"]]).toEqual([
      ["Read", "Write"],
      { type: "function", function: { name: "No" } },
    ]);
  });
});

describe("encodeTokenize", () => {
  const whole = request([user("hi"), system("now"), assistant("The capital")], {
    system: [{ type: "text", text: "Be brief." }],
    tools: [tool("Read"), tool("Late", { deferred: true })],
    reasoning: { mode: "on", effort: "high" },
    maxTokens: 100,
    extensions: { chat_template_kwargs: { depth: 2 }, repetition_penalty: 1.1 },
  });

  it("asks for the same prompt as encodeChat, and nothing else", () => {
    const prompt = encodePrompt(whole, target);
    const body = chat(whole);
    expect(JSON.parse(encodeTokenize(prompt, target))).toEqual({
      model: "qwen",
      messages: body["messages"],
      tools: body["tools"],
      chat_template_kwargs: { enable_thinking: true, depth: 2 },
      add_generation_prompt: false,
      continue_final_message: true,
    });
    expect(encodeChat(whole, target, prompt)).toBe(encodeChat(whole, target));
  });

  it("tells the template not to think where the effort is none, as vLLM's chat endpoint does", () => {
    const profile = { ...defaultPromptProfile, thinkingSwitch: { by: "effort", levels: ["none", "high"] } as const };
    const to = { ...target, profile };
    const off = request([user("hi")], { reasoning: { mode: "off" } });
    expect(JSON.parse(encodeTokenize(encodePrompt(off, to), to))).toMatchObject({
      chat_template_kwargs: { reasoning_effort: "none", enable_thinking: false },
    });
  });

  it("tells the template the effort as vLLM's chat endpoint does", () => {
    const profile = { ...defaultPromptProfile, thinkingSwitch: { by: "effort", levels: ["low", "high"] } as const };
    const to = { ...target, profile };
    expect(chat(whole, to)["reasoning_effort"]).toBe("high");
    expect(JSON.parse(encodeTokenize(encodePrompt(whole, to), to))).toMatchObject({
      chat_template_kwargs: { reasoning_effort: "high", enable_thinking: true, depth: 2 },
    });
  });
});
