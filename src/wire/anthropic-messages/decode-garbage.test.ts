import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GatewayError } from "../../conversation/errors.ts";
import type { JsonObject } from "../../conversation/request.ts";
import { codec } from "./__fixtures__/decode.ts";
import { RECORDED } from "./__fixtures__/load.ts";

/** What becomes of a body: accepted, or the code of its refusal. Anything else that is thrown is thrown on. */
function outcome(text: string): string {
  try {
    // What was accepted can be written out again: nothing in it is bottomless.
    JSON.stringify(codec.decode(text, { "anthropic-beta": "a,b" }));
    return "accepted";
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
}

const OUTCOMES = ["accepted", "invalid_json", "invalid_request"];

/** Every place in a JSON value, as the container and the key. */
function places(value: unknown, found: { container: JsonObject; key: string }[] = []): typeof found {
  if (typeof value !== "object" || value === null) return found;
  for (const key of Object.keys(value)) {
    found.push({ container: value as JsonObject, key });
    places((value as JsonObject)[key], found);
  }
  return found;
}

/** JSON text that does not belong where it is put. */
const odd: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("null", "true", "0", "-1", "1e999", '""', '"\\u0000"', "[]", "{}", "[[]]", "[null]", '{"type":null}'),
  fc
    .constantFrom("text", "tool_use", "tool_result", "thinking", "image", "document", "system", "__proto__")
    .map((type) => `{"type":"${type}","__proto__":{"text":"x"}}`),
  fc.json(),
  fc.bigInt().map(String),
  fc.nat(400).map((depth) => "[".repeat(depth) + "]".repeat(depth)),
);
const small = RECORDED.filter(({ body }) => JSON.stringify(body).length < 20_000);

describe("any other body", () => {
  it("cut short is refused as no JSON", () => {
    fc.assert(
      fc.property(fc.constantFrom(...small), fc.nat(), ({ body }, at) => {
        const text = JSON.stringify(body);
        expect(outcome(text.slice(0, at % text.length))).toBe("invalid_json");
      }),
      { numRuns: 500 },
    );
  });

  it("with characters changed is accepted or refused", () => {
    fc.assert(
      fc.property(fc.constantFrom(...small), fc.nat(), fc.string(), ({ body }, at, insert) => {
        const text = JSON.stringify(body);
        const place = at % text.length;
        expect(OUTCOMES).toContain(outcome(text.slice(0, place) + insert + text.slice(place + insert.length)));
      }),
      { numRuns: 1000 },
    );
  });

  it("with values of the wrong type anywhere is accepted or refused", () => {
    const changes = fc.array(fc.tuple(fc.nat(), odd), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...small), changes, ({ body }, list) => {
        const copy = structuredClone(body);
        const all = places(copy);
        list.forEach(([at], mark) => {
          const place = all[at % all.length];
          if (place !== undefined) place.container[place.key] = `<odd ${mark}>`;
        });
        expect(OUTCOMES).toContain(
          outcome(
            JSON.stringify(copy).replaceAll(/"<odd (\d)>"/g, (_, mark: string) => list[Number(mark)]?.[1] ?? "null"),
          ),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it("of any JSON, alone or in each field, is accepted or refused", () => {
    const fields = [
      "messages",
      "system",
      "tools",
      "tool_choice",
      "thinking",
      "output_config",
      "metadata",
      "context_management",
    ];
    fc.assert(
      fc.property(odd, fc.constantFrom(...fields), (value, field) => {
        expect(OUTCOMES).toContain(outcome(value));
        expect(OUTCOMES).toContain(
          outcome(`{"model":"m","messages":[{"role":"user","content":"x"}],"${field}":${value}}`),
        );
      }),
      { numRuns: 2000 },
    );
  });
});
