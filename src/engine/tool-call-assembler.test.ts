import { describe, expect, it } from "vitest";
import { calls, chunk, decode, DONE, finish, sse } from "./__fixtures__/chunks.ts";

const events = (...parts: string[]) => decode(parts.join("")).events;

describe("tool calls", () => {
  const fn = (name?: string, args?: unknown) => ({
    ...(name !== undefined && { name }),
    ...(args !== undefined && { arguments: args }),
  });
  /** The calls of a stream, whole: [id, name, arguments]. */
  const callsOf = (...parts: string[]) => {
    const found: [unknown, unknown, string][] = [];
    for (const [type, index, a, b] of events(...parts, finish("tool_calls"), DONE)) {
      if (type === "call") {
        expect(index).toBe(found.length);
        found.push([a, b, ""]);
      }
      if (type === "args") {
        expect(index).toBe(found.length - 1);
        found.at(-1)![2] += a as string;
      }
    }
    return found;
  };

  it("streams arguments as they come", () => {
    expect(
      events(
        calls({ index: 0, id: "c1", type: "function", function: fn("f", "") }),
        calls({ index: 0, function: fn(undefined, `{"a"`) }),
        calls({ index: 0, id: null, function: fn(undefined, `:1}`) }),
        finish("tool_calls"),
        DONE,
      ),
    ).toEqual([
      ["call", 0, "c1", "f"],
      ["args", 0, `{"a"`],
      ["args", 0, ":1}"],
      ["finish", "tool-calls"],
    ]);
  });

  it.each<[string, string[], [unknown, string, string][]]>([
    [
      "two calls in one chunk",
      [calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) }, { index: 1, id: "b", function: fn("g", "{}") })],
      [
        ["a", "f", `{"x":1}`],
        ["b", "g", "{}"],
      ],
    ],
    [
      "an index used again with a new id (Ollama)",
      [
        calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) }),
        calls({ index: 0, id: "b", function: fn("f", `{"x":1}`) }),
      ],
      [
        ["a", "f", `{"x":1}`],
        ["b", "f", `{"x":1}`],
      ],
    ],
    [
      "no index at all, told apart by id",
      [
        calls({ id: "a", function: fn("f", `{"x":`) }),
        calls({ id: "a", function: fn(undefined, "1}") }),
        calls({ id: "b", function: fn("g", `{`) }),
        calls({ function: fn(undefined, "}") }),
      ],
      [
        ["a", "f", `{"x":1}`],
        ["b", "g", "{}"],
      ],
    ],
    [
      "neither index nor id",
      [calls({ function: fn("f", `{"x":1}`) }, { function: fn("g", "{}") }), calls({ function: fn("g", `{"y":2}`) })],
      [
        [expect.stringMatching(/^call_[0-9a-f]{24}$/), "f", `{"x":1}`],
        [expect.any(String), "g", "{}"],
        [expect.any(String), "g", `{"y":2}`],
      ],
    ],
    [
      "neither index nor id, nor arguments",
      [calls({ function: fn("f", "") }, { function: fn("g") }, { function: fn("g", null) })],
      [
        [expect.any(String), "f", "{}"],
        [expect.any(String), "g", "{}"],
        [expect.any(String), "g", "{}"],
      ],
    ],
    [
      "neither index nor id, and arguments that never close before the next call",
      [calls({ function: fn("f", `{"x":1`) }, { function: fn("f", `{"x":2}`) })],
      [
        [expect.any(String), "f", `{"x":1`],
        [expect.any(String), "f", `{"x":2}`],
      ],
    ],
    [
      "a new id on every delta (vLLM before 0.9)",
      [
        calls({ index: 0, id: "a", function: fn("f") }),
        calls({ index: 0, id: "b", function: fn(undefined, `{"x"`) }),
        calls({ index: 0, id: "c", function: fn(undefined, ":1}") }),
      ],
      [["a", "f", `{"x":1}`]],
    ],
    [
      "a name repeated on every delta",
      [
        calls({ index: 0, id: "a", function: fn("f", "") }),
        calls({ index: 0, id: "a", function: fn("f", "{") }),
        calls({ index: 0, function: fn("f", "}") }),
      ],
      [["a", "f", "{}"]],
    ],
    [
      "a name in pieces",
      [
        calls({ index: 0, id: "a", function: fn("get_") }),
        calls({ index: 0, function: fn("weather") }),
        calls({ index: 0, function: fn(undefined, "{}") }),
      ],
      [["a", "get_weather", "{}"]],
    ],
    [
      "a name that grows",
      [
        calls({ index: 0, id: "a", function: fn("get_") }),
        calls({ index: 0, function: fn("get_weather") }),
        calls({ index: 0, function: fn(undefined, "{}") }),
      ],
      [["a", "get_weather", "{}"]],
    ],
    [
      "a name that comes late",
      [calls({ index: 0, id: "a", function: fn(undefined, "{}") }), calls({ index: 0, function: fn("f") })],
      [["a", "f", "{}"]],
    ],
    [
      "arguments as an object",
      [calls({ index: 0, id: "a", function: fn("f", { x: [1, "ü"] }) })],
      [["a", "f", `{"x":[1,"ü"]}`]],
    ],
    ["arguments that are null", [calls({ index: 0, id: "a", function: fn("f", null) })], [["a", "f", "{}"]]],
    [
      "no arguments",
      [calls({ index: 0, id: "a", function: fn("f", "") }), calls({ index: 1, id: "b", function: fn("g", `{"x":1}`) })],
      [
        ["a", "f", "{}"],
        ["b", "g", `{"x":1}`],
      ],
    ],
    [
      "two objects glued together",
      [
        calls({ index: 0, id: "a", function: fn("f", `{"x":1}{"x":`) }),
        calls({ index: 0, function: fn(undefined, "2}") }),
      ],
      [
        ["a", "f", `{"x":1}`],
        [expect.any(String), "f", `{"x":2}`],
      ],
    ],
    [
      "the same arguments sent again at the end",
      [
        calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) }),
        calls({ index: 0, function: fn(undefined, `{"x":1}`) }),
      ],
      [["a", "f", `{"x":1}`]],
    ],
    [
      "white space behind arguments",
      [calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) }), calls({ index: 0, function: fn(undefined, "\n") })],
      [["a", "f", `{"x":1}\n`]],
    ],
    [
      "calls that are interleaved",
      [
        calls({ index: 0, id: "a", function: fn("f", `{"x":`) }, { index: 1, id: "b", function: fn("g", `{"y":`) }),
        calls({ index: 1, function: fn(undefined, "2}") }, { index: 0, function: fn(undefined, "1}") }),
        calls({ index: 2, id: "c", function: fn("h", "{}") }),
      ],
      [
        ["a", "f", `{"x":1}`],
        ["b", "g", `{"y":2}`],
        ["c", "h", "{}"],
      ],
    ],
    [
      "a call whose arguments never close before the next one",
      [calls({ index: 0, id: "a", function: fn("f", `{"x":`) }), calls({ index: 1, id: "b", function: fn("g", "{}") })],
      [
        ["a", "f", `{"x":`],
        ["b", "g", "{}"],
      ],
    ],
    [
      "the same id twice",
      [calls({ index: 0, id: "a", function: fn("f", "{}") }), calls({ index: 1, id: "a", function: fn("g", "{}") })],
      [
        ["a", "f", "{}"],
        [expect.stringMatching(/^call_/), "g", "{}"],
      ],
    ],
    [
      "the older function_call",
      [chunk({ function_call: fn("f", `{"x"`) }), chunk({ function_call: fn(undefined, ":1}") })],
      [[expect.any(String), "f", `{"x":1}`]],
    ],
    [
      "braces inside strings",
      [
        calls({ index: 0, id: "a", function: fn("f", `{"x":"}{\\"`) }),
        calls({ index: 0, function: fn(undefined, `"}`) }),
      ],
      [["a", "f", `{"x":"}{\\""}`]],
    ],
  ])("takes %s", (_what, parts, expected) => {
    expect(callsOf(...parts)).toEqual(expected);
  });

  it("keeps every digit of numbers in arguments that are an object", () => {
    const raw = `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"n":12345678901234567890,"f":1.0,"ü":-1e400}}}]}}]}`;
    expect(callsOf(sse(raw))).toEqual([["a", "f", `{"n":12345678901234567890,"f":1.0,"ü":-1e400}`]]);
  });

  it("does not make up a call that max_tokens cut before its arguments", () => {
    expect(events(calls({ index: 0, id: "a", function: fn("f", "") }), finish("length"), DONE)).toEqual([
      ["finish", "length"],
    ]);
    expect(events(calls({ index: 0, id: "a", function: fn("f", `{"x`) }), finish("length"), DONE)).toEqual([
      ["call", 0, "a", "f"],
      ["args", 0, `{"x`],
      ["finish", "length"],
    ]);
  });

  it("adds the closing braces that arguments lack, unless max_tokens cut them", () => {
    const cut = calls({ index: 0, id: "a", function: fn("f", `{"x":[{"y":"}"`) });
    const started = [
      ["call", 0, "a", "f"],
      ["args", 0, `{"x":[{"y":"}"`],
    ];
    expect(events(cut, finish("tool_calls"), DONE)).toEqual([...started, ["args", 0, "}]}"], ["finish", "tool-calls"]]);
    expect(events(cut, finish("length"), DONE)).toEqual([...started, ["finish", "length"]]);
    const two = [
      calls({ index: 0, id: "a", function: fn("f", `{"x":1`) }),
      calls({ index: 1, id: "b", function: fn("g", `{"y":{}`) }),
    ];
    expect(callsOf(...two)).toEqual([
      ["a", "f", `{"x":1`],
      ["b", "g", `{"y":{}}`],
    ]);
  });

  it.each([`{"x":"y`, `{"x":`, `{"x":1,`, `{"x`, `{"x":tr`])("makes no value up for %s", (text) => {
    expect(callsOf(calls({ index: 0, id: "a", function: fn("f", text) }))).toEqual([["a", "f", text]]);
  });

  it.each<[string, string[], [unknown, string, string][]]>([
    [
      "the same arguments once more, in pieces, for a repetition",
      [
        calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) }),
        calls({ index: 0, function: fn(undefined, `{"x"`) }),
        calls({ index: 0, function: fn(undefined, ":1}") }),
      ],
      [["a", "f", `{"x":1}`]],
    ],
    [
      "another id at the same index for another call, where calls have no arguments",
      [calls({ index: 0, id: "a", function: fn("f", "") }), calls({ index: 0, id: "b", function: fn("f", "") })],
      [
        ["a", "f", "{}"],
        ["b", "f", "{}"],
      ],
    ],
    [
      "deltas without an index by their ids",
      [
        calls({ id: "a", function: fn("f", `{"x":`) }),
        calls({ id: "b", function: fn("g", `{"y":`) }),
        calls({ id: "a", function: fn(undefined, "1}") }),
        calls({ id: "b", function: fn(undefined, "2}") }),
      ],
      [
        ["a", "f", `{"x":1}`],
        ["b", "g", `{"y":2}`],
      ],
    ],
  ])("takes %s", (_what, parts, expected) => {
    expect(callsOf(...parts)).toEqual(expected);
  });

  it("adds nothing to a call behind which text has been sent", () => {
    expect(
      events(
        calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) }),
        chunk({ content: "Done." }),
        calls({ index: 0, function: fn(undefined, "\n") }),
        finish("tool_calls"),
        DONE,
      ),
    ).toEqual([
      ["call", 0, "a", "f"],
      ["args", 0, `{"x":1}`],
      ["text", "Done."],
      ["finish", "tool-calls"],
    ]);
  });

  it("takes a call that is never named for no call, and shows what stood in it", () => {
    const unnamed = (text: string) =>
      events(
        chunk({ content: "So." }),
        calls({ index: 0, id: "a", function: fn(undefined, text) }),
        finish("tool_calls"),
        DONE,
      );
    for (const nothing of ["", "{}"])
      expect(unnamed(nothing)).toEqual([
        ["text", "So."],
        ["finish", "stop"],
      ]);
    expect(unnamed(`{"x":1}`)).toEqual([
      ["text", "So."],
      ["text", `{"x":1}`],
      ["finish", "stop"],
    ]);
    const named = calls({ index: 0, id: "a", function: fn("f", `{"x":1}`) });
    expect(callsOf(named, calls({ index: 1, id: "b", function: {} }))).toEqual([["a", "f", `{"x":1}`]]);
  });

  it.each([[null], [1], ["x"], [[]], [{}]])("survives %j for a call", (call) => {
    const all = events(calls(call), chunk({ content: "x" }), finish("stop"), DONE);
    expect(all[0]).toEqual(["text", "x"]);
    expect(all).toHaveLength(2);
  });
});
