import { expect, it } from "vitest";
import { csv } from "./csv.ts";

it("quotes what would break a row, and leaves null empty", () => {
  expect(csv([["a,b", 'say "hi"', "two\nlines", null, 7]])).toBe('"a,b","say ""hi""","two\nlines",,7\r\n');
});

const FORMULAS = [
  "=1+1",
  "+1",
  "@SUM(A1)",
  "-cmd|'/c calc'!A1",
  "-2+3+cmd|'/c calc'!A1",
  "-1.5-A1",
  "-1\n",
  "\tx",
  "\r=1",
];

it.each(FORMULAS)("never lets a spreadsheet run %j", (text) => {
  expect(csv([[text]]).replace(/^"/, "")).toMatch(/^'/);
});

it.each(["-0.003664720", "-5", "-"])("leaves %j as it is", (text) => {
  expect(csv([[text]])).toBe(`${text}\r\n`);
});
