import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../conversation/request.ts";
import { plainSchema } from "./plain-schema.ts";

const dropped = (schema: JsonObject) => [...plainSchema(schema).dropped];

describe("plainSchema", () => {
  test("keeps fields, types and choices, and their order", () => {
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        path: { type: "string", description: "Where" },
        mode: { enum: ["r", "w"], default: "r" },
        pattern: { anyOf: [{ type: "string" }, { type: "null" }] },
        tree: { $ref: "#/$defs/tree" },
      },
      required: ["path"],
      additionalProperties: { type: ["string", "null"] },
      $defs: { tree: { type: "object", properties: { children: { type: "array", items: { $ref: "#/$defs/tree" } } } } },
    };
    const plain = plainSchema(schema);
    expect(JSON.stringify(plain.schema)).toBe(JSON.stringify(schema));
    expect([...plain.dropped]).toEqual([]);
  });

  test("drops what grammars differ in, wherever it stands, and names it once", () => {
    const { schema, dropped: names } = plainSchema({
      type: "object",
      properties: {
        url: { type: "string", format: "uri", minLength: 1 },
        tags: { type: "array", items: { type: "string", pattern: "^\\d+$" }, uniqueItems: true },
      },
      $defs: { n: { type: "integer", minimum: 0, format: "int64" } },
      anyOf: [{ required: ["url"], not: { required: ["tags"] } }],
    });
    expect(schema).toEqual({
      type: "object",
      properties: { url: { type: "string" }, tags: { type: "array", items: { type: "string" } } },
      $defs: { n: { type: "integer" } },
      anyOf: [{ required: ["url"] }],
    });
    expect([...names]).toEqual(["format", "minLength", "pattern", "uniqueItems", "minimum", "not"]);
  });

  test("takes names of properties for names, whatever they are", () => {
    const properties = { format: { type: "string" }, pattern: { type: "string" }, not: { type: "boolean" } };
    const schema = { type: "object", properties, required: ["format"] };
    expect(plainSchema(schema).schema).toEqual(schema);
    const odd = JSON.parse('{"properties":{"__proto__":{"type":"string","format":"uri"}}}') as JsonObject;
    expect(JSON.stringify(plainSchema(odd).schema)).toBe('{"properties":{"__proto__":{"type":"string"}}}');
  });

  test("forbids nothing that the whole schema allows", () => {
    // Without their pattern, the fields that it named would be additional ones.
    const named = { type: "object", patternProperties: { "^x-": {} }, additionalProperties: false };
    expect(plainSchema(named).schema).toEqual({ type: "object" });
    const pair = { type: "array", prefixItems: [{ type: "string" }], items: false };
    expect(plainSchema(pair).schema).toEqual({ type: "array" });
    expect(plainSchema({ oneOf: [{ type: "string" }, { type: "null" }] }).schema).toEqual({
      anyOf: [{ type: "string" }, { type: "null" }],
    });
    expect(dropped({ type: "any" })).toEqual(["type"]);
    expect(dropped({ $ref: "https://example.com/schema.json" })).toEqual(["$ref"]);
  });

  test("writes out schemas that are only true, and leaves out what is false", () => {
    const schema = {
      type: "object",
      properties: {
        any: true,
        never: false,
        list: { type: "array", items: true },
        none: { type: "array", items: false },
      },
      anyOf: [true, { required: ["any"] }],
      additionalProperties: false,
    };
    const { schema: plain, dropped: names } = plainSchema(schema);
    expect(plain).toEqual({
      type: "object",
      properties: { any: {}, list: { type: "array", items: {} }, none: { type: "array" } },
      anyOf: [{}, { required: ["any"] }],
      additionalProperties: false,
    });
    expect([...names]).toEqual(["boolean"]);
  });

  test("has nothing left to drop the second time, whatever it is given", () => {
    const keywords =
      "type properties items anyOf oneOf allOf $ref pattern not additionalProperties prefixItems patternProperties $defs enum required";
    const keyword = fc.constantFrom(...keywords.split(" "));
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constantFrom("string", "object", "#/$defs/a", "https://example.com", true, 1, null),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(keyword, tie("value"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(keyword, value, { maxKeys: 5 }), (schema) => {
        const once = plainSchema(schema).schema;
        const twice = plainSchema(once);
        expect(twice.schema).toEqual(once);
        expect([...twice.dropped]).toEqual([]);
      }),
    );
  });
});
