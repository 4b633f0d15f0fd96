import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, GatewayError } from "../../conversation/errors.ts";
import { openaiResponses } from "./codec.ts";

/** Throws whatever is not a refusal, and so fails the test. */
function outcome(body: string): "decoded" | ErrorCode {
  try {
    openaiResponses.decode(body, {});
    return "decoded";
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
}

const OUTCOMES = ["decoded", "invalid_json", "invalid_request"];
const words = (text: string): fc.Arbitrary<string> => fc.constantFrom(...text.split(" "));
const field = words(
  "input instructions tools tool_choice text reasoning include store stream max_output_tokens prompt conversation seed " +
    "previous_response_id parallel_tool_calls prompt_cache_key metadata background temperature",
);
const key = words(
  "role content type text call_id id name namespace arguments input output summary encrypted_content image_url file_data " +
    "file_url tools format definition schema parameters execution mode effort __proto__",
);
const scalar = fc.constantFrom<unknown>(
  "",
  "f",
  "function",
  "custom",
  "namespace",
  "tool_search",
  "input_image",
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
const type = words(
  "message function_call function_call_output custom_tool_call custom_tool_call_output reasoning item_reference compaction " +
    "tool_search_call tool_search_output additional_tools",
);
const item = fc
  .tuple(type, fc.option(words("user assistant system developer x")), fc.dictionary(key, nested, { maxKeys: 5 }))
  .map(([kind, role, fields]) => Object.assign(fields, { type: kind, ...(role !== null && { role }) }));

describe("garbage", () => {
  it("that is JSON is decoded or refused, whatever it is", () => {
    fc.assert(fc.property(fc.json({ maxDepth: 4 }), (body) => void expect(outcome(body)).toBeOneOf(OUTCOMES)));
  });

  it("in the place of a request's fields is decoded or refused", () => {
    const seen = new Set<string>();
    const request = fc.record({
      input: fc.array(item, { minLength: 1, maxLength: 4 }),
      more: fc.dictionary(field, nested, { maxKeys: 3 }),
    });
    fc.assert(
      fc.property(request, ({ input, more }) => {
        for (const body of [
          { model: "m", input, ...more },
          { ...more, model: "m", input },
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

  it("of more parts than fit on a stack is decoded", () => {
    const content = Array.from({ length: 200_000 }, () => ({ type: "output_text", text: "a" }));
    for (const role of ["system", "assistant"]) {
      const input = [
        { role, content },
        { role, content },
      ];
      expect(outcome(JSON.stringify({ model: "m", input }))).toBe("decoded");
    }
  });
});
