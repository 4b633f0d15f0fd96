import { expect, it } from "vitest";
import { compositeArray } from "./composite-array.ts";

// That Postgres and PGlite read back what was written, whatever it is: test/e2e/money-rules.test.ts.

it("writes each value as its type reads it", () => {
  const rows = [
    { id: "a", count: 7, done: true, note: "" },
    { id: "b", count: -1, done: false, note: null },
  ];
  expect(compositeArray(["id", "count", "done", "note"], rows)).toBe(
    String.raw`{"(\"a\",7,true,\"\")","(\"b\",-1,false,)"}`,
  );
});

it("leaves empty what a row does not have, and writes nothing that the type does not have", () => {
  const rows = [{ id: "a", other: 1 }];
  expect(compositeArray(["id", "count", "note"], rows)).toBe(String.raw`{"(\"a\",,)"}`);
});

it("escapes quotes and backslashes for the row and for the array", () => {
  expect(compositeArray(["id"], [{ id: '"' }, { id: "\\" }])).toBe(String.raw`{"(\"\\\"\")","(\"\\\\\")"}`);
});

it("writes an empty array", () => {
  expect(compositeArray(["id"], [])).toBe("{}");
});
