import { expect, it } from "vitest";
import { csv } from "./csv.ts";

it("quotes what would break a row, and leaves null empty", () => {
  expect(csv([["a,b", 'say "hi"', "two\nlines", null, 7]])).toBe('"a,b","say ""hi""","two\nlines",,7\r\n');
});

it.each(["=1+1", "+1", "@SUM(A1)", "-cmd|'/c calc'!A1", "\tx", "\r=1"])("never lets a spreadsheet run %j", (text) => {
  expect(csv([[text]]).replace(/^"/, "")).toMatch(/^'/);
});

it("leaves amounts below zero as they are", () => {
  expect(csv([["-0.003664720"]])).toBe("-0.003664720\r\n");
});
