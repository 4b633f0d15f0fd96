import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_TABLE } from "../src/conversation/errors.ts";
import { errorsPage } from "./generate-docs.ts";

test("docs/errors.md is what the error table says (else: node scripts/generate-docs.ts)", () => {
  expect(readFileSync("docs/errors.md", "utf8")).toBe(errorsPage());
});

test("the reference has a row for every error", () => {
  const rows = errorsPage()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows.map((row) => /^\| `(\w+)`/.exec(row)?.[1])).toEqual(Object.keys(ERROR_TABLE));
});
