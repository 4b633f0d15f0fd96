/** A small instance of a JSON schema, for an engine that must answer in a shape and has nothing to say. */
import { isObject } from "./chat-body.ts";
import type { JsonObject } from "./script.ts";

const MAX_DEPTH = 24;

/** Follows what constrained decoding enforces: types, required properties, bounds, `const` and `enum`, local `$ref`. */
export function schemaInstance(schema: unknown): unknown {
  return instance(schema, isObject(schema) ? schema : {}, 0);
}

function instance(schema: unknown, root: JsonObject, depth: number): unknown {
  if (!isObject(schema) || depth > MAX_DEPTH) return null;
  if ("const" in schema) return schema["const"];
  const choices = schema["enum"];
  if (Array.isArray(choices)) return choices[0];
  if (typeof schema["$ref"] === "string") return instance(resolve(schema["$ref"], root), root, depth + 1);
  for (const either of ["anyOf", "oneOf"]) {
    const options = schema[either];
    if (Array.isArray(options))
      return instance(merge([{ ...schema, [either]: undefined }, options[0]]), root, depth + 1);
  }
  const all = schema["allOf"];
  if (Array.isArray(all)) return instance(merge([{ ...schema, allOf: undefined }, ...all]), root, depth + 1);
  switch (typeOf(schema)) {
    case "object":
      return objectInstance(schema, root, depth);
    case "array":
      return Array.from({ length: bound(schema, "minItems") }, () => instance(schema["items"], root, depth + 1));
    case "string":
      return stringInstance(schema);
    case "integer":
    case "number":
      return numberInstance(schema);
    case "boolean":
      return false;
    default:
      return null;
  }
}

function typeOf(schema: JsonObject): unknown {
  const type: unknown = schema["type"];
  if (Array.isArray(type)) return type.find((name) => name !== "null") ?? "null";
  return type ?? (isObject(schema["properties"]) ? "object" : undefined);
}

function objectInstance(schema: JsonObject, root: JsonObject, depth: number): JsonObject {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
  return Object.fromEntries(required.map((name) => [name, instance(properties[name], root, depth + 1)]));
}

function stringInstance(schema: JsonObject): string {
  switch (schema["format"]) {
    case "date-time":
      return "2000-01-01T00:00:00Z";
    case "date":
      return "2000-01-01";
    case "time":
      return "00:00:00Z";
    case "uri":
      return "https://example.com/";
    case "email":
      return "simulated@example.com";
    case "uuid":
      return "00000000-0000-4000-8000-000000000000";
    default: {
      const most = typeof schema["maxLength"] === "number" ? schema["maxLength"] : Number.POSITIVE_INFINITY;
      return "simulated".slice(0, most).padEnd(bound(schema, "minLength"), ".");
    }
  }
}

function numberInstance(schema: JsonObject): number {
  const step = typeof schema["multipleOf"] === "number" ? schema["multipleOf"] : 1;
  const above = schema["exclusiveMinimum"];
  const below = schema["exclusiveMaximum"];
  const least = typeof above === "number" ? above + step : schema["minimum"];
  if (typeof least === "number" && least > 0) return Math.ceil(least / step) * step;
  const most = typeof below === "number" ? below - step : schema["maximum"];
  return typeof most === "number" && most < 0 ? Math.floor(most / step) * step : 0;
}

function bound(schema: JsonObject, name: "minItems" | "minLength"): number {
  const value = schema[name];
  return typeof value === "number" && value > 0 ? Math.min(value, 1000) : 0;
}

function merge(schemas: readonly unknown[]): JsonObject {
  const merged: JsonObject = {};
  for (const schema of schemas.filter(isObject)) {
    for (const [key, value] of Object.entries(schema)) {
      if (value === undefined) continue;
      const before = merged[key];
      if (key === "properties" && isObject(before) && isObject(value)) merged[key] = { ...before, ...value };
      else if (key === "required" && Array.isArray(before) && Array.isArray(value)) merged[key] = [...before, ...value];
      else merged[key] = value;
    }
  }
  return merged;
}

function resolve(pointer: string, root: JsonObject): unknown {
  let at: unknown = root;
  for (const part of pointer.split("/").slice(1)) {
    at = isObject(at) ? at[part.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined;
  }
  return at;
}
