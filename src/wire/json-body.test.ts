import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import { parseBody } from "./json-body.ts";

function failure(text: string): GatewayError {
  try {
    parseBody(text);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("parseBody", () => {
  it("loses nothing", () => {
    const anyObject = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(anyObject, (object) => {
        const text = JSON.stringify(JSON.parse(JSON.stringify(object))); // -0, and keys in their order
        expect(JSON.stringify(parseBody(text))).toBe(text);
      }),
    );
  });

  it.each(["9007199254740993", "-9007199254740993", "123456789012345678901234567890", "1e400"])(
    "keeps %s as it was written",
    (number) => {
      const text = `{"a":[{"n":${number},"m":7}],"b":"${number}"}`;
      expect(JSON.stringify(parseBody(text))).toBe(text);
    },
  );

  it("keeps any integer, however long", () => {
    fc.assert(
      fc.property(fc.bigInt(), (n) => {
        expect(JSON.stringify(parseBody(`{"n":${n}}`))).toBe(`{"n":${n}}`);
      }),
    );
  });

  it("holds safe numbers as numbers even beside one that is not", () => {
    const body = parseBody('{"big":12345678901234567890,"small":3}');
    expect(body["small"]).toBe(3);
    expect(JSON.isRawJSON(body["big"])).toBe(true);
  });

  it.each([
    ["", "empty"],
    [" \n", "empty"],
    ["\uFEFF{}", "byte order mark"],
    ["{", "not valid JSON"],
    ['{"a":1}x', "not valid JSON (at position 7"],
  ])("refuses %j as invalid_json", (text, words) => {
    const error = failure(text);
    expect(error.code).toBe("invalid_json");
    expect(error.message).toContain(words);
  });

  it.each([
    ["[]", "an array"],
    ["null", "null"],
    ["3", "a number"],
    ['"x"', "a string"],
  ])("refuses %j as invalid_request", (text, words) => {
    const error = failure(text);
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain(words);
  });

  it.each([
    ["arrays", "[", "]"],
    ["objects", '{"a":', "}"],
  ])("refuses 100,000 nested %s", (_name, open, close) => {
    const error = failure(`{"x":${open.repeat(100_000)}1${close.repeat(100_000)}}`);
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain("nested");
  });

  it("refuses deep nesting beside a number that needs the second reading", () => {
    expect(failure(`{"n":12345678901234567890,"x":${"[".repeat(5000)}${"]".repeat(5000)}}`).code).toBe(
      "invalid_request",
    );
  });

  it("accepts what real schemas nest", () => {
    expect(parseBody(`{"x":${"[".repeat(150)}${"]".repeat(150)}}`)).toBeDefined();
  });

  it("never quotes the body", () => {
    for (const text of ['{"prompt": my secret plan}', "my secret plan", '{"prompt":"my secret plan"'])
      expect(failure(text).message).not.toContain("secret");
    expect(failure('{"prompt": my secret plan}').cause).toBeUndefined();
  });

  it("takes __proto__ and constructor as plain keys", () => {
    const body = parseBody('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');
    expect(Object.keys(body)).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(body["polluted"]).toBeUndefined();
  });

  it.each([
    [String.raw`{"content":"a\ud83d b"}`, { content: "a\ufffd b" }],
    [String.raw`{"content":"a\uDE00 b"}`, { content: "a\ufffd b" }],
    [String.raw`{"a":[["\uD83D"],{"b":"\ude00\ud83d"}]}`, { a: [["\ufffd"], { b: "\ufffd\ufffd" }] }],
    [String.raw`{"x":1,"k\udfff":{"y":"\ud800"},"z":2}`, { x: 1, "k\ufffd": { y: "\ufffd" }, z: 2 }],
    [String.raw`{"pair":"\ud83d\ude00","upper":"\uD83D\uDE00"}`, { pair: "😀", upper: "😀" }],
    [String.raw`{"text":"a backslash: \\ud83d"}`, { text: String.raw`a backslash: \ud83d` }],
  ])("takes lone surrogates out of %s, and leaves pairs", (text, expected) => {
    const body = parseBody(text);
    expect(body).toEqual(expected);
    expect(Object.keys(body)).toEqual(Object.keys(expected));
  });

  it("gives text that UTF-8 can carry whatever the escapes, and keeps numbers and names beside it", () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => `\\u${code.toString(16).padStart(4, "0")}`);
    const escaped = fc
      .array(fc.oneof(unit, fc.constantFrom("\\ud83d", "\\ude00", "\\uDBFF", "x")))
      .map((all) => all.join(""));
    fc.assert(
      fc.property(escaped, escaped, (key, value) => {
        const before = '{"n":12345678901234567890,"__proto__":["\\ud800"],"o":{';
        const body = parseBody(`${before}"${key}":"${value}"}}`);
        const [name, text] = Object.entries(body["o"] as object)[0] as [string, string];
        expect([name, text]).toEqual([key, value].map((each) => (JSON.parse(`"${each}"`) as string).toWellFormed()));
        expect(JSON.stringify(body)).toContain('{"n":12345678901234567890,"__proto__":["\ufffd"],');
      }),
    );
    const inKeys = parseBody(String.raw`{"\ud800":12345678901234567890,"__proto__":{"a":1}}`);
    expect(JSON.stringify(inKeys)).toBe('{"\ufffd":12345678901234567890,"__proto__":{"a":1}}');
  });

  it("takes the last of duplicate keys", () => {
    expect(parseBody('{"a":1,"a":2}')).toEqual({ a: 2 });
  });
});
