import { describe, expect, it } from "vitest";
import type { Message, ToolResultContent, UserPart } from "../../conversation/request.ts";
import { assistant, request, result, system, tool, user } from "./__fixtures__/requests.ts";
import { engineMessages } from "./engine-messages.ts";
import { defaultPromptProfile, type PromptProfile } from "./prompt-profile.ts";
import { RESULT_MISSING } from "./user-turn.ts";

const render = (messages: Message[], profile: Partial<PromptProfile> = {}, rest: Parameters<typeof request>[1] = {}) =>
  engineMessages(request(messages, rest), { ...defaultPromptProfile, ...profile });

const reminder = (text: string) => `<system-reminder>\n${text}\n</system-reminder>`;
const call = (id: string) => ({ id, type: "function", function: { name: "Bash", arguments: '{"command":"ls"}' } });
const toolResult = (callId: string, content: ToolResultContent[], isError = false): UserPart => ({
  type: "tool-result",
  callId,
  content,
  isError,
});
const IMAGE = { type: "image", source: { kind: "base64", mediaType: "image/png", data: "aGk=" } } as const;
const IMAGE_URL = { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } };

describe("the head", () => {
  it("joins system parts and the system messages before all others", () => {
    const parts = [
      { type: "text" as const, text: "one" },
      { type: "text" as const, text: "two" },
    ];
    expect(render([system("three"), user("hi")], {}, { system: parts })).toEqual([
      { role: "system", content: "one\n\ntwo\n\nthree" },
      { role: "user", content: "hi" },
    ]);
  });

  it("has no system message without system text", () => {
    expect(render([user("hi")], {}, { system: [{ type: "text", text: "" }] })).toEqual([
      { role: "user", content: "hi" },
    ]);
  });

  it("names server tools as unavailable", () => {
    const tools = [{ type: "server" as const, name: "web_search", kind: "web_search_20250305" }];
    expect(render([user("hi")], {}, { tools })[0]).toMatchObject({
      role: "system",
      content: expect.stringContaining("Not available here: web_search."),
    });
    const search = { type: "server" as const, name: "search", kind: "tool_search_tool_bm25_20251119" };
    expect(render([user("hi")], {}, { tools: [search] })).toEqual([{ role: "user", content: "hi" }]);
  });
});

describe("system messages inside the conversation", () => {
  it("are appended to the user message before them", () => {
    expect(render([user("hi"), system("now"), assistant("yo"), user("2")])).toEqual([
      { role: "user", content: `hi\n\n${reminder("now")}` },
      { role: "assistant", content: "yo" },
      { role: "user", content: "2" },
    ]);
  });

  it("are appended to the last tool result before them", () => {
    const messages = render([user("hi"), assistant("", "a", "b"), result("a", "A"), result("b", "B"), system("now")]);
    expect(messages.at(-1)).toEqual({ role: "tool", tool_call_id: "b", content: `B\n\n${reminder("now")}` });
  });

  it("stand alone after an answer", () => {
    expect(
      render([user("hi"), assistant("yo"), system("now"), user("2")], { consecutiveUsers: "keep" }).slice(2),
    ).toEqual([
      { role: "user", content: reminder("now") },
      { role: "user", content: "2" },
    ]);
  });

  it("are wrapped once", () => {
    expect(render([user("hi"), system(reminder("now"))])).toEqual([
      { role: "user", content: `hi\n\n${reminder("now")}` },
    ]);
  });

  it("stay where they are for a template that takes them", () => {
    expect(render([user("hi"), system("now")], { lateSystem: "keep" })).toEqual([
      { role: "user", content: "hi" },
      { role: "system", content: "now" },
    ]);
  });
});

describe("tool results", () => {
  it("come in the order of their calls, other text after the last", () => {
    const content: UserPart[] = [
      toolResult("b", [{ type: "text", text: "B" }]),
      { type: "text", text: "and now?" },
      toolResult("a", [
        { type: "text", text: "A1" },
        { type: "text", text: "A2" },
      ]),
    ];
    expect(render([user("hi"), assistant("go", "a", "b"), { role: "user", content }]).slice(1)).toEqual([
      { role: "assistant", content: "go", tool_calls: [call("a"), call("b")] },
      { role: "tool", tool_call_id: "a", content: "A1\n\nA2" },
      { role: "tool", tool_call_id: "b", content: "B\n\nand now?" },
    ]);
  });

  it("come in that order when every one is a message of its own, as OpenAI's clients send them", () => {
    const messages = render([user("hi"), assistant("", "a", "b"), result("b", "B"), result("a", "A"), user("go on")]);
    expect(messages.slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: "A" },
      { role: "tool", tool_call_id: "b", content: "B" },
      { role: "user", content: "go on" },
    ]);
  });

  it("are made up in words where they are missing, in every place", () => {
    const missing = (id: string) => ({ role: "tool", tool_call_id: id, content: RESULT_MISSING });
    expect(render([user("1"), assistant("", "a"), assistant("", "b"), user("2"), assistant("", "c")])).toEqual([
      { role: "user", content: "1" },
      { role: "assistant", content: "", tool_calls: [call("a")] },
      missing("a"),
      { role: "assistant", content: "", tool_calls: [call("b")] },
      missing("b"),
      { role: "user", content: "2" },
      { role: "assistant", content: "", tool_calls: [call("c")] },
      missing("c"),
    ]);
  });

  it("answer all calls of an answer that the client keeps as several messages", () => {
    const both = [
      { role: "user", content: "1" },
      { role: "assistant", content: "", tool_calls: [call("a"), call("b")] },
      { role: "tool", tool_call_id: "a", content: "A" },
      { role: "tool", tool_call_id: "b", content: "B" },
    ];
    expect(render([user("1"), assistant("", "a"), assistant("", "b"), result("b", "B"), result("a", "A")])).toEqual(
      both,
    );
    expect(
      render([user("1"), assistant("", "a"), user(""), assistant("", "b"), result("a", "A"), result("b", "B")]),
    ).toEqual(both);
    expect(render([user("1"), assistant("", "a"), assistant("so"), result("a", "A")]).slice(1)).toEqual([
      { role: "assistant", content: "so", tool_calls: [call("a")] },
      { role: "tool", tool_call_id: "a", content: "A" },
    ]);
    // A result further on is another turn's.
    const later = [
      user("1"),
      assistant("", "a"),
      assistant("", "b"),
      result("b", "B"),
      assistant("x"),
      result("a", "A"),
    ];
    expect(render(later).slice(1, 3)).toEqual([
      { role: "assistant", content: "", tool_calls: [call("a")] },
      { role: "tool", tool_call_id: "a", content: RESULT_MISSING },
    ]);
  });

  it("follow a late tool's definition that stood between the calls", () => {
    const tools = [tool("Late", { deferred: true })];
    const reference: Message = { role: "user", content: [{ type: "tool-reference", name: "Late" }] };
    const messages = render(
      [user("1"), assistant("", "a"), reference, assistant("", "b"), result("a", "A"), result("b", "B")],
      {},
      { tools },
    );
    expect(messages.slice(1, 3)).toEqual([
      { role: "assistant", content: "", tool_calls: [call("a"), call("b")] },
      { role: "tool", tool_call_id: "a", content: "A" },
    ]);
    expect(messages.at(-1)).toMatchObject({ role: "user", content: expect.stringContaining("Late") });
  });

  it("become text when they answer no call, or one already answered", () => {
    expect(render([user("1"), assistant("yo"), result("lost", "L")])).toEqual([
      { role: "user", content: "1" },
      { role: "assistant", content: "yo" },
      { role: "user", content: "Result of an earlier tool call:\nL" },
    ]);
    expect(render([user("1"), assistant("", "a"), result("a", "A"), result("a", "again")]).slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: "A" },
      { role: "user", content: "Result of an earlier tool call:\nagain" },
    ]);
  });

  it("take the first of two results of one call, and keep the other as text", () => {
    const twice = [toolResult("a", [{ type: "text", text: "one" }]), toolResult("a", [{ type: "text", text: "two" }])];
    expect(render([user("go"), assistant("", "a"), { role: "user", content: twice }]).slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: "one\n\nResult of an earlier tool call:\ntwo" },
    ]);
  });

  it("pair calls and results of equal ids in order", () => {
    expect(render([user("1"), assistant("", "a", "a"), result("a", "first"), result("a", "second")]).slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: "first" },
      { role: "tool", tool_call_id: "a", content: "second" },
    ]);
  });

  it.each([
    ["Exit code 1", "Error: Exit code 1"],
    ["", "Error"],
    ["<tool_use_error>No such tool</tool_use_error>", "<tool_use_error>No such tool</tool_use_error>"],
    ["Error: ENOENT", "Error: ENOENT"],
    ["Errors are fine", "Error: Errors are fine"],
  ])("show that the call failed: %j", (text, shown) => {
    expect(render([user("1"), assistant("", "a"), result("a", text, true)]).at(-1)).toMatchObject({ content: shown });
    expect(render([user("1"), assistant("", "a"), result("a", text)]).at(-1)).toMatchObject({ content: text });
  });
});

describe("images", () => {
  const messages: Message[] = [
    { role: "user", content: [{ type: "text", text: "look" }, IMAGE, { type: "text", text: "well" }] },
    assistant("", "a"),
    {
      role: "user",
      content: [toolResult("a", [{ type: "text", text: "shot" }, IMAGE]), { type: "text", text: "ok?" }],
    },
    system("now"),
  ];

  it("are a note where the model cannot see them", () => {
    const note = "[image omitted: this model cannot see images]";
    expect(render(messages)).toEqual([
      { role: "user", content: `look\n\n${note}\n\nwell` },
      { role: "assistant", content: "", tool_calls: [call("a")] },
      { role: "tool", tool_call_id: "a", content: `shot\n\n${note}\n\nok?\n\n${reminder("now")}` },
    ]);
  });

  it("of a tool follow in a user message, which takes what comes after", () => {
    expect(render(messages, { vision: true })).toEqual([
      { role: "user", content: [{ type: "text", text: "look" }, IMAGE_URL, { type: "text", text: "well" }] },
      { role: "assistant", content: "", tool_calls: [call("a")] },
      { role: "tool", tool_call_id: "a", content: "shot\n\n[image: in the next message]" },
      {
        role: "user",
        content: [
          { type: "text", text: "Image in the result of Bash:" },
          IMAGE_URL,
          { type: "text", text: "ok?" },
          { type: "text", text: reminder("now") },
        ],
      },
    ]);
  });

  describe("of the system", () => {
    const shown = (words: string): Message => ({ role: "system", content: [{ type: "text", text: words }, IMAGE] });
    const told = [{ type: "text", text: "Image in the system message:" }, IMAGE_URL];

    it("are a note where the model cannot see them", () => {
      const note = "[image omitted: this model cannot see images]";
      expect(render([shown("head"), user("1"), shown("late")])).toEqual([
        { role: "system", content: `head\n\n${note}` },
        { role: "user", content: `1\n\n${reminder(`late\n\n${note}`)}` },
      ]);
    });

    it("are the user's where the model sees", () => {
      const below = "[image: see below]";
      expect(render([shown("head"), user("1"), shown("late")], { vision: true })).toEqual([
        { role: "system", content: `head\n\n${below}` },
        {
          role: "user",
          content: [
            ...told,
            { type: "text", text: "1" },
            { type: "text", text: reminder(`late\n\n${below}`) },
            ...told,
          ],
        },
      ]);
      const late = [user("1"), assistant("", "a"), result("a", "A"), shown("late")];
      expect(render(late, { vision: true }).slice(2)).toEqual([
        { role: "tool", tool_call_id: "a", content: `A\n\n${reminder(`late\n\n${below}`)}` },
        { role: "user", content: told },
      ]);
      expect(render([user("1"), shown("late")], { vision: true, lateSystem: "keep" })).toEqual([
        { role: "user", content: "1" },
        { role: "system", content: `late\n\n${below}` },
        { role: "user", content: told },
      ]);
    });
  });

  it("beside a result that has none are a user message of their own", () => {
    const content: UserPart[] = [toolResult("a", [{ type: "text", text: "A" }]), IMAGE];
    expect(render([user("1"), assistant("", "a"), { role: "user", content }], { vision: true }).slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: "A" },
      { role: "user", content: [IMAGE_URL] },
    ]);
  });
});

describe("late tools", () => {
  const tools = [tool("Read"), tool("WebFetch", { deferred: true })];
  const reference = (name: string): Message => ({
    role: "user",
    content: [toolResult("a", [{ type: "tool-reference", name }])],
  });

  it("are defined where their first reference stands", () => {
    const messages = render(
      [user("1"), assistant("", "a"), reference("WebFetch"), assistant("", "a"), reference("WebFetch")],
      {},
      { tools },
    );
    expect(messages[2]).toMatchObject({
      content: expect.stringContaining('<tools>\n{"type":"function","function":{"name":"WebFetch"'),
    });
    expect(messages[4]).toMatchObject({ content: "The tool WebFetch is available." });
  });

  it("are only named when they stand at the head, or are gone", () => {
    expect(render([user("1"), assistant("", "a"), reference("Read")], {}, { tools }).at(-1)).toMatchObject({
      content: "The tool Read is available.",
    });
    expect(render([user("1"), assistant("", "a"), reference("Gone")], {}, { tools }).at(-1)).toMatchObject({
      content: "The tool Gone is no longer available.",
    });
  });
});

describe("documents", () => {
  it("are text between tags that name them", () => {
    const content: UserPart[] = [
      { type: "document", title: 'A "b"', context: "from mail", source: { kind: "text", text: "body" } },
      { type: "document", source: { kind: "url", url: "https://x.test/a.pdf" } },
    ];
    expect(render([{ role: "user", content }])).toEqual([
      {
        role: "user",
        content:
          '<document title="A \\"b\\"">\nfrom mail\n\nbody\n</document>\n\n<document source="https://x.test/a.pdf">\n[not fetched]\n</document>',
      },
    ]);
  });
});

describe("answers", () => {
  const thought = (text: string, signed: "ours" | "foreign" | "none"): Message => ({
    role: "assistant",
    content: [
      { type: "reasoning", text, signed },
      { type: "text", text: "yo\n" },
    ],
  });

  it("replay reasoning that is the model's own, where the profile says", () => {
    const both = [user("1"), thought("mine", "ours"), user("2"), thought("theirs", "foreign"), user("3")];
    expect(render(both)[1]).toEqual({ role: "assistant", content: "yo\n", reasoning: "mine" });
    expect(render(both)[3]).toEqual({ role: "assistant", content: "yo\n" });
    expect(render(both, { reasoningReplay: "reasoning_content" })[1]).toEqual({
      role: "assistant",
      content: "yo\n",
      reasoning_content: "mine",
    });
    expect(render(both, { reasoningReplay: "content" })[1]).toEqual({
      role: "assistant",
      content: "<think>\nmine\n</think>\n\nyo\n",
    });
    expect(render(both, { reasoningReplay: "none" })[1]).toEqual({ role: "assistant", content: "yo\n" });
  });

  it("are dropped when empty, and merged when two follow each other", () => {
    expect(render([user("1"), assistant(""), user("2")])).toEqual([{ role: "user", content: "1\n\n2" }]);
    expect(render([user("1"), assistant("a"), assistant("b", "x"), result("x", "X")])).toEqual([
      { role: "user", content: "1" },
      { role: "assistant", content: "ab", tool_calls: [call("x")] },
      { role: "tool", tool_call_id: "x", content: "X" },
    ]);
  });

  it("are not gone on with behind a user message, even an empty one", () => {
    expect(render([user("1"), assistant("I will"), user("")])).toEqual([
      { role: "user", content: "1" },
      { role: "assistant", content: "I will" },
      { role: "user", content: "" },
    ]);
    expect(render([user("")])).toEqual([{ role: "user", content: "" }]);
  });

  it("at the end are continued, unless there is no text to continue", () => {
    expect(render([user("1"), assistant("The capital")]).at(-1)).toEqual({ role: "assistant", content: "The capital" });
    const cut: Message = { role: "assistant", content: [{ type: "reasoning", text: "hm", signed: "ours" }] };
    expect(render([user("1"), cut])).toEqual([{ role: "user", content: "1" }]);
  });
});

describe("conversations of a size that nobody has, but anybody may send", () => {
  const ids = Array.from({ length: 100_000 }, (_, index) => `c${index}`);
  const answers = ids.map((id) => toolResult(id, []));

  // Each took most of a minute, in which the gateway did nothing else.
  it("render in time by their length: many calls in one answer", () => {
    const out = render([user("go"), assistant("", ...ids), { role: "user", content: answers.toReversed() }]);
    expect(out).toHaveLength(2 + ids.length);
    expect(out.at(-1)).toEqual({ role: "tool", tool_call_id: ids.at(-1), content: "" });
  });

  it("render in time by their length: many answers of one call each, all results behind the last", () => {
    const calls = ids.map((id) => assistant("", id));
    const out = render([user("go"), ...calls, { role: "user", content: answers }]);
    expect(out).toHaveLength(2 + ids.length);
    expect(out[1]).toMatchObject({ tool_calls: { length: ids.length } });
    expect(out.slice(2)).not.toContainEqual(expect.objectContaining({ content: RESULT_MISSING }));
  });
});
