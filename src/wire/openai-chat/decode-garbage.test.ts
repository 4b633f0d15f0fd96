import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, GatewayError } from "../../conversation/errors.ts";
import { openaiChat } from "./codec.ts";

/** Throws whatever is not a refusal, and so fails the test. */
function outcome(body: string): "decoded" | ErrorCode {
  try {
    openaiChat.decode(body, {});
    return "decoded";
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
}

const OUTCOMES = ["decoded", "invalid_json", "invalid_request"];
const words = (text: string): fc.Arbitrary<string> => fc.constantFrom(...text.split(" "));

const field = words(
  "model messages tools functions tool_choice function_call stop stream_options response_format n seed reasoning " +
    "thinking modalities max_tokens temperature chat_template_kwargs prompt_cache_key parallel_tool_calls stream",
);
const key = words(
  "role content type text tool_calls function_call id function name arguments tool_call_id image_url url file file_data " +
    "reasoning reasoning_content refusal custom mode tools allowed_tools parameters json_schema schema effort __proto__",
);
const scalar = fc.constantFrom<unknown>(
  "",
  "f",
  "function",
  "text",
  "image_url",
  "file",
  "data:,%zz",
  "data:x",
  null,
  true,
);
const nested = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.jsonValue({ maxDepth: 4 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4 }),
  ),
})).value;
const role = fc.constantFrom("system", "user", "assistant", "tool", "function", "x", 1, null);
const message = fc
  .tuple(role, fc.dictionary(key, nested, { maxKeys: 4 }))
  .map(([name, fields]) => Object.assign(fields, { role: name }));

describe("garbage", () => {
  it.each(["", "{", '{"model": "secret', "undefined", "\u0000"])("%j is invalid_json", (body) => {
    expect(outcome(body)).toBe("invalid_json");
  });

  it("that is JSON is decoded or refused, whatever it is", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (body) => {
        expect(outcome(body)).toBeOneOf(OUTCOMES);
      }),
    );
  });

  it("in the place of a request's fields is decoded or refused", () => {
    const seen = new Set<string>();
    const request = fc.record({
      messages: fc.array(message, { minLength: 1, maxLength: 4 }),
      more: fc.dictionary(field, nested, { maxKeys: 3 }),
    });
    fc.assert(
      fc.property(request, ({ messages, more }) => {
        for (const body of [
          { model: "m", messages, ...more },
          { ...more, model: "m", messages },
        ]) {
          const result = outcome(JSON.stringify(body));
          expect(result).toBeOneOf(OUTCOMES);
          seen.add(result);
        }
      }),
      { numRuns: 2000 },
    );
    // Both, or the generator has become too tame or too wild to show anything.
    expect([...seen].sort()).toEqual(["decoded", "invalid_request"]);
  });

  it("nested without end is refused", () => {
    const deep = "[".repeat(1_000_000) + "]".repeat(1_000_000);
    expect(outcome(deep)).toBeOneOf(OUTCOMES);
    expect(outcome(`{"model":"m","messages":${deep}}`)).toBe("invalid_request");
    const object = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    const call = `{"id":"x","function":{"name":"f","arguments":${object}}}`;
    expect(outcome(`{"model":"m","messages":[{"role":"assistant","tool_calls":[${call}]}]}`)).toBe("invalid_request");
  });

  it("of more parts than fit on a stack is decoded", () => {
    const content = Array.from({ length: 200_000 }, () => ({ type: "text", text: "a" }));
    for (const role of ["system", "assistant", "user"])
      expect(outcome(JSON.stringify({ model: "m", messages: [{ role, content }] }))).toBe("decoded");
  });
});
