import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { openApiJson } from "./openapi-document.ts";

it("docs/openapi.json is what the gateway serves (else: node scripts/openapi-document.ts)", () => {
  expect(readFileSync("docs/openapi.json", "utf8")).toBe(openApiJson());
});
