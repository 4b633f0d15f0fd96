/** Writes docs/openapi.json, the copy of what `GET /admin/openapi.json` serves. A test fails when it is stale. */
import { writeFileSync } from "node:fs";
import { openApiDocument } from "../src/routes/openapi.ts";

export function openApiJson(): string {
  return `${JSON.stringify(openApiDocument(), null, 2)}\n`;
}

if (import.meta.main) writeFileSync("docs/openapi.json", openApiJson());
