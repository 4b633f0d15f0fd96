/**
 * A JSON Schema without what engines' grammars differ in. What is left says which fields there are and of which type, which every grammar
 * can; bounds, patterns, formats and conditions go, and are for whoever asked to check.
 */
import { isObject } from "../base/is-object.ts";
import type { JsonObject } from "../conversation/request.ts";

/** Keywords whose value is a schema, a list of schemas, or schemas by name. */
const SCHEMA = new Set(["items", "additionalProperties"]);
const LIST = new Set(["anyOf", "allOf", "oneOf"]);
const BY_NAME = new Set(["properties", "$defs", "definitions"]);
const KEPT = new Set(["required", "enum", "const", "title", "description", "default", "$schema", "$id"]);
const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

export type PlainSchema = {
  schema: JsonObject;
  /** The keywords that are gone, each once. */
  dropped: ReadonlySet<string>;
};

/** Keys keep their order, because engines write schemas into the prompt. A schema with nothing to drop comes back equal. */
export function plainSchema(schema: JsonObject): PlainSchema {
  const dropped = new Set<string>();
  return { schema: plain(schema, dropped), dropped };
}

function plain(schema: JsonObject, dropped: Set<string>): JsonObject {
  const kept: JsonObject = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (!isKept(keyword, value, schema)) {
      dropped.add(keyword);
      continue;
    }
    if (keyword === "items" || (keyword === "additionalProperties" && typeof value !== "boolean")) {
      const [item] = plainSchemas([value], dropped);
      if (item !== undefined) kept[keyword] = item;
    } else if (LIST.has(keyword) && Array.isArray(value)) {
      // No grammar can rule out that two of them fit.
      if (keyword === "oneOf") dropped.add(keyword);
      kept[keyword === "oneOf" ? "anyOf" : keyword] = plainSchemas(value, dropped);
    } else if (BY_NAME.has(keyword) && isObject(value)) {
      const byName = Object.entries(value).flatMap(([name, item]) =>
        plainSchemas([item], dropped).map((schemaOfIt): [string, unknown] => [name, schemaOfIt]),
      );
      // Not by assignment: a property may be called __proto__.
      kept[keyword] = Object.fromEntries(byName);
    } else kept[keyword] = value;
  }
  return kept;
}

/** llama.cpp takes no `true` and `false` for schemas: anything, and what must not be there. */
function plainSchemas(schemas: readonly unknown[], dropped: Set<string>): unknown[] {
  return schemas.flatMap((schema) => {
    if (isObject(schema)) return [plain(schema, dropped)];
    if (typeof schema !== "boolean") return [schema];
    dropped.add("boolean");
    return schema ? [{}] : [];
  });
}

function isKept(keyword: string, value: unknown, schema: JsonObject): boolean {
  switch (keyword) {
    case "type":
      return (Array.isArray(value) ? value : [value]).every((type) => typeof type === "string" && TYPES.has(type));
    case "$ref":
      return typeof value === "string" && value.startsWith("#");
    case "items":
      // What it says of the rest is wrong of those that `prefixItems` said something of.
      return !Array.isArray(value) && schema["prefixItems"] === undefined;
    case "additionalProperties":
      // The same of those that a pattern named.
      return schema["patternProperties"] === undefined;
    case "oneOf":
      return schema["anyOf"] === undefined;
    default:
      return SCHEMA.has(keyword) || LIST.has(keyword) || BY_NAME.has(keyword) || KEPT.has(keyword);
  }
}
