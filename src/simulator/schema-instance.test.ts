import { expect, test } from "vitest";
import { schemaInstance } from "./schema-instance.ts";

test.each<[string, object, unknown]>([
  [
    "only what is required",
    { type: "object", properties: { a: { type: "string" }, b: { type: "integer" } }, required: ["a"] },
    { a: "simulated" },
  ],
  [
    "bounds of strings",
    { type: "array", minItems: 2, items: { type: "string", minLength: 12, maxLength: 12 } },
    ["simulated...", "simulated..."],
  ],
  ["short strings", { type: "string", maxLength: 3 }, "sim"],
  ["bounds of numbers", { type: "integer", minimum: 7, multipleOf: 5 }, 10],
  ["exclusive bounds", { type: "integer", exclusiveMinimum: 3 }, 4],
  ["negative numbers", { type: "number", maximum: -2 }, -2],
  [
    "enum and const",
    { type: "object", properties: { a: { enum: ["x", "y"] }, b: { const: 3 } }, required: ["a", "b"] },
    { a: "x", b: 3 },
  ],
  ["nullable types", { type: ["null", "boolean"] }, false],
  ["either", { anyOf: [{ type: "integer" }, { type: "string" }] }, 0],
  [
    "all of",
    {
      allOf: [
        { type: "object", properties: { a: { type: "null" } }, required: ["a"] },
        { properties: { b: { type: "boolean" } }, required: ["b"] },
      ],
    },
    { a: null, b: false },
  ],
  [
    "references",
    {
      $defs: { p: { type: "array", items: {} } },
      type: "object",
      properties: { a: { $ref: "#/$defs/p" } },
      required: ["a"],
    },
    { a: [] },
  ],
  ["formats", { type: "string", format: "date-time" }, "2000-01-01T00:00:00Z"],
])("%s", (_, schema, instance) => {
  expect(schemaInstance(schema)).toEqual(instance);
});

test("a schema that refers to itself ends", () => {
  const tree = { type: "object", properties: { child: { $ref: "#" } }, required: ["child"] };
  expect(JSON.stringify(schemaInstance(tree)).length).toBeLessThan(1000);
});
