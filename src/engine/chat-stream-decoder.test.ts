import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import { UsageFold } from "../conversation/usage.ts";
import { calls, chunk, decode, DONE, finish, type Plain, plain, sse } from "./__fixtures__/chunks.ts";
import { ChatStreamDecoder } from "./chat-stream-decoder.ts";

const RECORDED = new URL("./__fixtures__/vllm-0.32.0/", import.meta.url);
const recorded = (name: string) => decode(readFileSync(new URL(`${name}.sse`, RECORDED)));
const events = (...parts: string[]) => decode(parts.join("")).events;
const LLAMA_CPP = new URL("./__fixtures__/llama.cpp-b11549/", import.meta.url);
const textOf = (all: Plain[], kind: string) =>
  all
    .filter(([type]) => type === kind)
    .map((event) => event.at(-1))
    .join("");

describe("recorded llama.cpp streams", () => {
  const bytes = (name: string) => readFileSync(new URL(`${name}.sse`, LLAMA_CPP));

  it("reads text with running timings", () => {
    const { events: all, usage } = decode(bytes("stream-timings"));
    expect(textOf(all, "text")).toBe('The phrase "The');
    expect(all.at(-1)).toEqual(["finish", "length"]);
    expect([usage.countedBy, usage.usage]).toEqual([
      "engine",
      { inputUncached: 1, cacheRead: 9, cacheWrite: 0, output: 4, reasoning: 0 },
    ]);
  });

  it("reads a tool call", () => {
    const { events: all, usage } = decode(bytes("stream-tools"));
    expect(all[0]).toEqual(["call", 0, "0KPItY7nXqdnkX89sRggETJDPWOVQ6xX", "get_weather"]);
    expect(JSON.parse(textOf(all, "args"))).toEqual({ city: "Paris", unit: "c" });
    expect(all.at(-1)).toEqual(["finish", "tool-calls"]);
    expect(usage.usage).toEqual({ inputUncached: 103, cacheRead: 188, cacheWrite: 0, output: 37, reasoning: 0 });
  });

  it("has counted as far as it came where it is cut", () => {
    const whole = bytes("stream-tools").toString("utf8");
    const { usage } = decode(whole.slice(0, whole.indexOf(`"arguments":"Paris"`)));
    expect([usage.countedBy, usage.usage]).toEqual([
      "engine",
      { inputUncached: 103, cacheRead: 188, cacheWrite: 0, output: 21, reasoning: 0 },
    ]);
  });
});

describe("recorded vLLM streams", () => {
  it("reads text with running usage", () => {
    const { events: all, usage } = recorded("stream-continuous");
    expect(textOf(all, "text")).toBe("The capital of France is Paris");
    expect(all.at(-1)).toEqual(["finish", "length"]);
    expect([usage.countedBy, usage.usage]).toEqual([
      "engine",
      { inputUncached: 22, cacheRead: 0, cacheWrite: 0, output: 6, reasoning: 0 },
    ]);
  });

  it("reads usage that comes only at the end", () => {
    const { events: all, usage } = recorded("stream-usage");
    expect(all.at(-1)).toEqual(["finish", "stop"]);
    expect(usage.usage).toMatchObject({ inputUncached: 22, output: 8 });
  });

  it("counts for itself where there is no usage", () => {
    const { events: all, usage } = recorded("stream-no-usage");
    expect(textOf(all, "text")).toBe("The capital of France is Paris.");
    expect([usage.countedBy, usage.output]).toEqual(["gateway", 8]);
  });

  it("counts calls that come out only at the end", () => {
    const counted = (...parts: string[]) => decode(parts.join("") + finish("tool_calls") + DONE).usage.output;
    const open = calls({ index: 0, id: "a", function: { name: "f", arguments: `{"a":"${"x".repeat(400)}` } });
    const waiting = calls({ index: 1, id: "b", function: { name: "g", arguments: `{"b":"${"x".repeat(4_000)}"}` } });
    expect(counted(open, waiting)).toBe(Math.ceil((406 + 4_008) / 4));
    expect(counted(calls({ index: 0, id: "a", function: { name: "f" } }))).toBe(1);
  });

  it("reads reasoning", () => {
    const { events: all, usage } = recorded("stream-reasoning");
    expect(textOf(all, "reasoning")).toBe("The capital of France is Paris");
    expect(usage.usage).toMatchObject({ output: 6, reasoning: 6 });
  });

  it("reads a tool call and cached tokens", () => {
    const { events: all, usage } = recorded("stream-tools-auto");
    expect(all[0]).toEqual(["call", 0, "chatcmpl-tool-be526d9d4af826f0", "get_weather"]);
    expect(JSON.parse(textOf(all, "args"))).toEqual({ city: "Paris" });
    expect(all.at(-1)).toEqual(["finish", "tool-calls"]);
    expect(usage.usage).toEqual({ inputUncached: 46, cacheRead: 128, cacheWrite: 0, output: 34, reasoning: 0 });
  });

  it("reads a forced call that was cut by max_tokens", () => {
    const all = recorded("stream-tools-named").events;
    expect(all.at(-1)).toEqual(["finish", "length"]);
    expect(textOf(all, "args")).toMatch(/^\{/);
  });

  it("reads text and parallel calls beyond ASCII", () => {
    const { events: all, usage } = recorded("stream-tools-parallel");
    expect(textOf(all, "text")).toContain("Grüße 你好 👋");
    expect(all.filter(([type]) => type === "call").map((call) => [call[1], call[3]])).toEqual([
      [0, "get_weather"],
      [1, "get_time"],
    ]);
    const argumentsOf = (index: number) =>
      textOf(
        all.filter((event) => event[1] === index),
        "args",
      );
    expect([argumentsOf(0), argumentsOf(1)]).toEqual([`{"city": "Zürich 東京"}`, "{}"]);
    expect(usage.usage).toMatchObject({ inputUncached: 202, cacheWrite: 0, output: 91 });
  });

  it("tells which stop sequence ended it", () => {
    expect(recorded("stream-stop").events.at(-1)).toEqual(["finish", "stop-sequence", "keto"]);
  });

  it("ends each in exactly one finish", () => {
    const names = readdirSync(RECORDED).filter((name) => name.endsWith(".sse"));
    expect(names.length).toBeGreaterThan(6);
    for (const name of names) {
      const terminal = decode(readFileSync(new URL(name, RECORDED))).events.filter(
        ([type]) => type === "finish" || type === "error",
      );
      expect(terminal).toHaveLength(1);
    }
  });
});

describe("text and reasoning", () => {
  it("gives nothing for empty deltas, but takes their usage", () => {
    const { events: all, usage } = decode(
      sse({
        choices: [{ index: 0, delta: { role: "assistant", content: "" } }],
        usage: { prompt_tokens: 9, completion_tokens: 0 },
      }) +
        chunk({ content: null, reasoning: "", tool_calls: [] }) +
        sse({ choices: [{ index: 0, delta: null }] }) +
        sse({ choices: [null] }) +
        finish("stop") +
        DONE,
    );
    expect(all).toEqual([["finish", "stop"]]);
    expect(usage.prompt).toBe(9);
  });

  it.each([
    ["reasoning", { reasoning: "a" }, [["reasoning", "a"]]],
    ["reasoning_content", { reasoning_content: "a" }, [["reasoning", "a"]]],
    ["both names with the same text", { reasoning: "a", reasoning_content: "a" }, [["reasoning", "a"]]],
    [
      "reasoning before text",
      { content: "b", reasoning_content: "a" },
      [
        ["reasoning", "a"],
        ["text", "b"],
      ],
    ],
    ["a refusal as text", { refusal: "no" }, [["text", "no"]]],
  ])("takes %s", (_what, delta, expected) => {
    expect(events(chunk(delta), finish("stop"), DONE)).toEqual([...expected, ["finish", "stop"]]);
  });

  it("takes only the first choice", () => {
    const other = { index: 1, delta: { content: "other" }, finish_reason: "stop" };
    const own = { index: 0, delta: { content: "own" } };
    expect(events(sse({ choices: [other, own] }), sse({ choices: [other] }), finish("length"), DONE)).toEqual([
      ["text", "own"],
      ["finish", "length"],
    ]);
  });

  it("takes a choice whose index is null for the only one", () => {
    expect(events(sse({ choices: [{ index: null, delta: { content: "own" } }] }), finish("stop"), DONE)).toEqual([
      ["text", "own"],
      ["finish", "stop"],
    ]);
  });

  it("keeps escaped and raw text the same", () => {
    const text = 'é 你 👋 \u0080 \\u0041 "quoted" \u2028 \n\t\u0001';
    const escaped = sse(
      JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] }).replace(
        /[^ -~]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
      ),
    );
    expect(escaped).toContain("\\u00e9");
    expect(events(escaped, finish("stop"))[0]).toEqual(["text", text]);
    expect(events(chunk({ content: text }), finish("stop"))[0]).toEqual(["text", text]);
  });

  it("holds text that comes amid a call's arguments until the call is complete", () => {
    const call = (args: string, more: object = {}) =>
      calls({ index: 0, ...more, function: { ...more, arguments: args } });
    expect(
      events(
        call('{"a":', { id: "c", name: "f" }),
        chunk({ content: "amid" }),
        chunk({ reasoning: "hm" }),
        call("1}"),
        chunk({ content: "behind" }),
        call(" \n"),
        finish("tool_calls"),
        DONE,
      ),
    ).toEqual([
      ["call", 0, "c", "f"],
      ["args", 0, '{"a":'],
      ["args", 0, "1}"],
      ["text", "amid"],
      ["reasoning", "hm"],
      ["text", "behind"],
      ["finish", "tool-calls"],
    ]);
  });

  it("gives what was held when the call never ends", () => {
    const open = calls({ index: 0, id: "c", function: { name: "f", arguments: '{"a":' } });
    expect(events(open, chunk({ content: "amid" }), finish("length"), DONE).slice(-2)).toEqual([
      ["text", "amid"],
      ["finish", "length"],
    ]);
  });

  it("refuses arguments that are nested too deeply to be written out", () => {
    const nested = (levels: number) => `{"a":`.repeat(levels) + "1" + "}".repeat(levels);
    const called = (levels: number) =>
      sse(`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":${nested(levels)}}}]}}]}`);
    expect(events(called(5_000), finish("tool_calls"), DONE)).toEqual([
      ["error", "engine_failed", expect.stringMatching(/nested too deeply/)],
    ]);
    expect(events(called(500), finish("tool_calls"), DONE)).toContainEqual(["args", 0, nested(500)]);
  });

  it("refuses content that is not text, rather than losing it", () => {
    expect(events(chunk({ content: [{ type: "image" }] }))).toEqual([["error", "engine_failed", expect.any(String)]]);
  });
});

describe("stop sequences that the engine was not told of", () => {
  const stopped = (stream: string) => {
    const decoder = new ChatStreamDecoder(new UsageFold(), { model: "m" }, ["END"]);
    const all = [...decoder.push(Buffer.from(stream)), ...decoder.end()].map(plain);
    return { all, stopped: decoder.stopped };
  };

  it("end the answer in visible text, and only there", () => {
    const args = { index: 0, id: "c", function: { name: "f", arguments: '{"a":"END"}' } };
    expect(
      stopped(chunk({ reasoning: "the END" }) + chunk({ content: "one E" }) + chunk({ content: "ND two" })),
    ).toEqual({
      all: [
        ["reasoning", "the END"],
        ["text", "one "],
        ["finish", "stop-sequence", "END"],
      ],
      stopped: true,
    });
    expect(stopped(chunk({ content: "E" }) + calls(args) + finish("tool_calls") + DONE)).toEqual({
      all: [
        ["text", "E"],
        ["call", 0, "c", "f"],
        ["args", 0, '{"a":"END"}'],
        ["finish", "tool-calls"],
      ],
      stopped: false,
    });
  });

  it("leave a call unfinished that the engine was still writing", () => {
    const begun = { index: 0, id: "c", function: { name: "f", arguments: '{"path":"/a"' } };
    expect(stopped(calls(begun) + chunk({ content: "one END" })).all).toEqual([
      ["call", 0, "c", "f"],
      ["args", 0, '{"path":"/a"'],
      ["text", "one "],
      ["finish", "tool-calls"],
    ]);
  });

  it("give back what was only the beginning of one", () => {
    expect(stopped(chunk({ content: "the E" }) + finish("stop") + DONE).all).toEqual([
      ["text", "the "],
      ["text", "E"],
      ["finish", "stop"],
    ]);
    expect(stopped(chunk({ content: "the E" })).all.at(-1)?.[0]).toBe("error");
  });

  it("do not go on over reasoning, before which the text so far is shown", () => {
    expect(
      stopped(chunk({ content: "one E" }) + chunk({ reasoning: "hm" }) + chunk({ content: "ND" }) + DONE).all,
    ).toEqual([
      ["text", "one "],
      ["text", "E"],
      ["reasoning", "hm"],
      ["text", "ND"],
      ["error", "engine_cut", expect.any(String)],
    ]);
  });

  it("are found over chunks that say of tool calls that there are none, as SGLang's do", () => {
    const none = { reasoning_content: null, tool_calls: null };
    expect(stopped(chunk({ content: "one E", ...none }) + chunk({ content: "ND two", ...none }))).toEqual({
      all: [
        ["text", "one "],
        ["finish", "stop-sequence", "END"],
      ],
      stopped: true,
    });
  });
});

describe("the end", () => {
  it.each([
    ["stop", {}, ["finish", "stop"]],
    ["length", {}, ["finish", "length"]],
    ["content_filter", {}, ["finish", "content-filter"]],
    ["repetition", {}, ["finish", "length"]],
    ["tool_calls", {}, ["finish", "stop"]],
    ["stop", { stop_reason: "END" }, ["finish", "stop-sequence", "END"]],
    ["stop", { stop_reason: "Ende ü" }, ["finish", "stop-sequence", "Ende ü"]],
    ["stop", { matched_stop: "END" }, ["finish", "stop-sequence", "END"]],
    ["stop", { stop_reason: 151645 }, ["finish", "stop"]],
    ["stop", { matched_stop: 2, stop_reason: null }, ["finish", "stop"]],
    ["constructor", {}, ["finish", "stop"]],
    ["moonphase", {}, ["finish", "stop"]],
  ])("reads %s %j", (reason, more, expected) => {
    expect(events(chunk({ content: "x" }), finish(reason, more), DONE).slice(1)).toEqual([expected]);
  });

  it("keeps to the first reason where an engine gives another", () => {
    expect(events(chunk({ content: "x" }), finish("length"), finish("stop"), DONE).at(-1)).toEqual([
      "finish",
      "length",
    ]);
  });

  it("says tool-calls for calls that end in stop, as forced ones do", () => {
    const call = calls({ index: 0, id: "a", function: { name: "f", arguments: "{}" } });
    expect(events(call, finish("stop"), DONE).at(-1)).toEqual(["finish", "tool-calls"]);
  });

  it("holds the finish until the usage behind it is in", () => {
    const usage = new UsageFold();
    const decoder = new ChatStreamDecoder(usage);
    expect(decoder.push(Buffer.from(finish("stop")))).toEqual([]);
    expect(decoder.push(Buffer.from(sse({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 7 } })))).toEqual(
      [],
    );
    expect(decoder.push(Buffer.from(DONE)).map(plain)).toEqual([["finish", "stop"]]);
    expect(usage.usage).toMatchObject({ inputUncached: 5, output: 7 });
    expect([decoder.ended, decoder.push(Buffer.from(chunk({ content: "late" }))), decoder.end()]).toEqual([
      true,
      [],
      [],
    ]);
  });

  it.each([
    ["with [DONE]", [finish("stop"), DONE], ["finish", "stop"]],
    ["without [DONE]", [finish("stop")], ["finish", "stop"]],
    ["with [DONE] that has no line end", [finish("stop"), "data: [DONE]"], ["finish", "stop"]],
    ["with [DONE] amid blanks", [finish("stop"), "data:  [DONE] \t\n\n"], ["finish", "stop"]],
    ["in half of a usage chunk", [finish("stop"), `data: {"usage":{"pro`], ["finish", "stop"]],
    ["without a finish reason", [], ["error", "engine_cut", "the engine's answer ended before it was complete"]],
    [
      "with [DONE] but no finish reason",
      [DONE],
      ["error", "engine_cut", "the engine ended its stream without a finish reason"],
    ],
    [
      "in half of the finish",
      [finish("stop").slice(0, -12)],
      ["error", "engine_cut", "the engine's answer ended before it was complete"],
    ],
    ["in half of a field's name", ["da"], ["error", "engine_cut", "the engine's answer ended before it was complete"]],
    [
      "aborted by the engine",
      [finish("abort")],
      ["error", "engine_cut", `the engine broke its answer off (finish reason "abort")`],
    ],
  ])("that comes %s is one terminal event", (_what, parts, expected) => {
    expect(events(chunk({ content: "x" }), ...parts)).toEqual([["text", "x"], expected]);
  });

  it("after a failed connection is a finish only if the answer was complete", () => {
    const failed = (...parts: string[]) => {
      const decoder = new ChatStreamDecoder(new UsageFold());
      decoder.push(Buffer.from(parts.join("")));
      return decoder.fail(new GatewayError("engine_timeout", "silent")).map(plain);
    };
    expect(failed(chunk({ content: "x" }), `data: {"cho`)).toEqual([["error", "engine_timeout", "silent"]]);
    expect(failed(finish("stop"), `data: {"cho`)).toEqual([["finish", "stop"]]);
  });
});

describe("an answer that never stops", () => {
  const MIB = 1024 * 1024;
  const open = calls({ index: 0, id: "c", function: { name: "f", arguments: '{"a":"' } });
  const large = "x".repeat(MIB);
  const tokens = chunk({ content: "four" }).repeat(10_000);
  let made = 0;
  const names = () => Array.from({ length: 5_000 }, () => ({ index: 0, id: `id${made++}`, function: { name: "f" } }));

  it.each([
    ["of text", "", () => chunk({ content: large })],
    ["of single tokens", "", () => tokens],
    ["of text amid a call", open, () => chunk({ content: large })],
    ["of a call's arguments", open, () => calls({ index: 0, function: { arguments: large } })],
    [
      "of arguments behind a call that is open",
      open,
      () => calls({ index: 1, function: { name: "g", arguments: large } }),
    ],
    ["of calls without arguments", "", () => calls(...names())],
  ])("%s is an engine's failure", (_what, first, next) => {
    const decoder = new ChatStreamDecoder(new UsageFold());
    decoder.push(Buffer.from(first));
    let last: Plain | undefined;
    for (let pushes = 0; last?.[0] !== "error" && pushes < 1_000; pushes++) {
      const end = decoder.push(Buffer.from(next())).at(-1);
      last = end?.type === "error" ? plain(end) : undefined;
    }
    expect(last).toEqual(["error", "engine_failed", expect.stringContaining("larger than any")]);
    expect(decoder.ended).toBe(true);
  });

  it("is none where it is only long", () => {
    const text = chunk({ content: large }).repeat(60);
    expect(events(text, finish("stop"), DONE).at(-1)).toEqual(["finish", "stop"]);
    expect(
      events(open, tokens.repeat(30), calls({ index: 0, function: { arguments: '"}' } }), finish("stop")).at(-1),
    ).toEqual(["finish", "tool-calls"]);
  });
});

describe("errors and garbage", () => {
  it("gives vLLM's death as one error, without what it leaks", () => {
    const dump = {
      error: {
        message:
          'EngineCore encountered an issue.\nTraceback (most recent call last):\n  File "/opt/venv/vllm/engine.py", line 3, in f\nsecret',
        type: "InternalServerError",
        param: null,
        code: 500,
      },
    };
    expect(events(chunk({ content: "x" }), sse(dump), DONE)).toEqual([
      ["text", "x"],
      ["error", "engine_failed", "the engine failed (500): EngineCore encountered an issue."],
    ]);
  });

  it.each([
    [
      "SGLang's error object",
      sse({ object: "error", message: "out of memory", code: 500 }),
      "the engine failed (500): out of memory",
    ],
    [
      "an error in words",
      sse({ error: "model runner has stopped" }),
      "the engine failed (500): model runner has stopped",
    ],
    ["an event of the name error", `event: error\n${sse({ message: "broken" })}`, "the engine failed (500): broken"],
    [
      "llama.cpp's error line",
      `error: {"code":500,"message":"decode failed"}\n\n`,
      "the engine failed (500): decode failed",
    ],
    [
      "a JSON error in place of a stream",
      `{"error":{"message":"nöt ready","code":500}}\n`,
      "the engine failed (500): nöt ready",
    ],
    [
      "a JSON error of many lines in place of a stream",
      JSON.stringify({ error: { message: "nöt ready", code: 500 } }, null, 2) + "\n",
      "the engine failed (500): nöt ready",
    ],
    [
      "a JSON error of many lines that are not indented",
      JSON.stringify({ error: { code: 500, more: {}, message: "no memory" } }, null, " ").replaceAll("\n ", "\n") +
        "\n",
      "the engine failed (500): no memory",
    ],
    [
      "plain JSON of many lines in place of a stream",
      '{\n  "choices": []\n}\n',
      "the engine answered something that is not an event stream",
    ],
    [
      "half of a JSON error before a stream",
      '{\n  "error":\n\n',
      "the engine answered something that is not an event stream",
    ],
    [
      "endless lines that begin as JSON",
      "{\n" + '  "x": 1,\n'.repeat(10_000),
      "the engine answered something that is not an event stream",
    ],
    [
      "HTML in place of a stream",
      "<html><body>hello</body></html>\n",
      "the engine answered something that is not an event stream",
    ],
    [
      "plain JSON in place of a stream",
      `{"choices":[]}\n`,
      "the engine answered something that is not an event stream",
    ],
    ["an event that is not JSON", "data: {oops}\n\n", "the engine sent an event that is not a chat completion chunk"],
    ["an event that is no object", "data: [1]\n\n", "the engine sent an event that is not a chat completion chunk"],
    ["an event that is null", "data: null\n\n", "the engine sent an event that is not a chat completion chunk"],
  ])("ends in one error on %s", (_what, part, message) => {
    expect(events(part, chunk({ content: "late" }), finish("stop"), DONE)).toEqual([
      ["error", "engine_failed", message],
    ]);
  });

  it("maps an error in the stream by its own status", () => {
    const tooLong = {
      error: {
        code: 400,
        message: "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
        type: "exceed_context_size_error",
      },
    };
    expect(events(sse(tooLong))).toEqual([
      ["error", "prompt_too_long", "prompt is too long: 9000 tokens > 8192 maximum"],
    ]);
    expect(events(sse({ error: { code: 503, message: "Loading model" } }))[0]?.[1]).toBe("engine_overloaded");
  });

  it("maps a JSON error in place of a stream by its own status, on however many lines", () => {
    const message =
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.";
    for (const indent of [0, 2]) {
      const body = JSON.stringify({ error: { code: 400, message, param: null } }, null, indent);
      const expected = [["error", "prompt_too_long", "prompt is too long: 9000 tokens > 8192 maximum"]];
      for (const text of [body, `${body}\n`, `\n: ping\n${body.replaceAll("\n", "\r\n")}`]) {
        expect(events(text)).toEqual(expected);
        expect(decode(text.split(/(?<=m)/)).events).toEqual(expected);
      }
    }
    expect(events('{\n  "error": {\n')).toEqual([["error", "engine_cut", expect.any(String)]]);
  });

  it("ignores comments, empty data and chunks without choices", () => {
    expect(events(": ping\n\n", "data:\n\n", sse({}), sse({ choices: "x" }), finish("stop"), DONE)).toEqual([
      ["finish", "stop"],
    ]);
  });

  it("bounds an event", () => {
    const line = `data: {"x":"${"x".repeat(9 * 1024 * 1024)}`;
    expect(events(line)).toEqual([["error", "engine_failed", "the engine sent an event of more than 8 MB"]]);
  });

  it("takes a large event that is within the bound", () => {
    const text = "x".repeat(5 * 1024 * 1024);
    const all = events(chunk({ content: text }), finish("stop"), DONE);
    expect((all[0]![1] as string).length).toBe(text.length);
  });
});
