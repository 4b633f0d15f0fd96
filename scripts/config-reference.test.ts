import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configurationPage, jsonSchema } from "./config-reference.ts";

test("the published schema and reference are what the configuration takes (else: node scripts/config-reference.ts)", () => {
  expect(readFileSync("evener.schema.json", "utf8")).toBe(jsonSchema());
  const page = readFileSync("docs/configuration.md", "utf8");
  expect(page).toBe(configurationPage(page));
});
