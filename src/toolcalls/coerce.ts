/** Turns a value into what its schema asks for where nothing is lost by it: the schema guides, never the value. */
import { isObject } from "../base/is-object.ts";
import { exactNumber, numberSource, readExact } from "../base/exact-json.ts";
import { LenientJson } from "./lenient-json.ts";

/** The value is not of a type that the schema allows, and cannot be made so. */
export const MISFIT = Symbol("misfit");

const DEEPEST = 16;
/** Most schemas that are looked at for one call: a few that refer to each other many times over would take for ever. About 0.1 s. */
const MOST_STEPS = 100_000;

/** What references are looked up in, and how many schemas may still be looked at. */
export type SchemaRoot = { readonly schema: unknown; steps: number };

/** One for each call. */
export function schemaRoot(schema: unknown): SchemaRoot {
  return { schema, steps: MOST_STEPS };
}

type Kind = "null" | "boolean" | "integer" | "number" | "string" | "array" | "object";

/** Fits the value to its schema: itself where it fits already, otherwise what it must mean, or `MISFIT`. */
export function coerce(value: unknown, schema: unknown, root: SchemaRoot, depth = 0): unknown {
  const known = resolve(schema, root.schema);
  if (!isObject(known) || depth > DEEPEST || root.steps-- <= 0) return value;
  const branches = known["anyOf"] ?? known["oneOf"];
  if (Array.isArray(branches) && branches.length > 0) return coerceToAny(value, branches, root, depth);
  const allOf = known["allOf"];
  if (Array.isArray(allOf)) {
    let all = value;
    for (const branch of allOf) if (all !== MISFIT) all = coerce(all, branch, root, depth + 1);
    return all;
  }
  const types = typesOf(known);
  if (types.length === 0) return value;
  const kind = kindOf(value);
  if (types.includes(kind) || (kind === "integer" && types.includes("number"))) {
    return inside(value, known, root, depth);
  }
  const made = typeof value === "string" ? fromString(value, types) : fromOther(value, kind, types);
  if (made !== MISFIT) return inside(made, known, root, depth);
  // One element, where a list of such elements is asked for.
  if (types.includes("array") && kind !== "null" && known["items"] !== undefined) {
    const element = coerce(value, known["items"], root, depth + 1);
    const sameKind = element !== MISFIT && kindOf(element) === kind;
    if (sameKind && !(typeof value === "string" && /^\s*(?:[[{]|$)/.test(value))) return [element];
  }
  return MISFIT;
}

function coerceToAny(value: unknown, branches: readonly unknown[], root: SchemaRoot, depth: number): unknown {
  const fitting = branches.find((branch) => fits(value, branch, root, depth));
  if (fitting !== undefined) return coerce(value, fitting, root, depth + 1);
  for (const branch of branches) {
    const made = coerce(value, branch, root, depth + 1);
    if (made !== MISFIT && fits(made, branch, root, depth)) return made;
  }
  return MISFIT;
}

/** Whether the value is of the schema's type, with all that an object must have. */
function fits(value: unknown, schema: unknown, root: SchemaRoot, depth: number): boolean {
  const known = resolve(schema, root.schema);
  if (!isObject(known) || depth > DEEPEST || root.steps-- <= 0) return true;
  const branches = known["anyOf"] ?? known["oneOf"];
  if (Array.isArray(branches) && branches.length > 0) {
    return branches.some(
      (branch) =>
        branch !== schema &&
        isObject(branch) &&
        fits(value, { ...branch, anyOf: undefined, oneOf: undefined }, root, depth + 1),
    );
  }
  const types = typesOf(known);
  const kind = kindOf(value);
  if (types.length > 0 && !types.includes(kind) && !(kind === "integer" && types.includes("number"))) return false;
  const required = known["required"];
  if (kind !== "object" || !Array.isArray(required)) return true;
  return required.every((key) => typeof key === "string" && Object.hasOwn(value as object, key));
}

/** Goes on with members and elements; one that does not fit stays as it came, for the client to say. */
function inside(value: unknown, schema: Record<string, unknown>, root: SchemaRoot, depth: number): unknown {
  if (Array.isArray(value)) {
    const items = schema["items"];
    if (items === undefined) return value;
    const made = value.map((each) => orItself(each, coerce(each, items, root, depth + 1)));
    return made.every((each, i) => each === value[i]) ? value : made;
  }
  const properties = schema["properties"];
  if (kindOf(value) !== "object" || !isObject(properties)) return value;
  let changed = false;
  const made = Object.entries(value as object).map(([key, each]): [string, unknown] => {
    if (!Object.hasOwn(properties, key)) return [key, each];
    const fit = orItself(each, coerce(each, properties[key], root, depth + 1));
    changed ||= fit !== each;
    return [key, fit];
  });
  return changed ? Object.fromEntries(made) : value;
}

function orItself(value: unknown, made: unknown): unknown {
  return made === MISFIT ? value : made;
}

function fromString(text: string, types: readonly Kind[]): unknown {
  const bare = text.trim();
  if ((types.includes("object") && bare.startsWith("{")) || (types.includes("array") && bare.startsWith("["))) {
    const parsed = readExact(bare) ?? parseLenient(bare);
    if (parsed !== undefined) return parsed;
  }
  if (types.includes("integer") && /^-?(?:0|[1-9]\d*)$/.test(bare)) return exactNumber(bare);
  if (types.includes("number") && /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(bare)) return exactNumber(bare);
  if (types.includes("boolean") && /^(?:true|false)$/i.test(bare)) return bare.toLowerCase() === "true";
  if (types.includes("null") && /^(?:null|none)$/i.test(bare)) return null;
  return MISFIT;
}

function fromOther(value: unknown, kind: Kind, types: readonly Kind[]): unknown {
  // A list has no text that it must mean; an object in a text's place is the text of a JSON file.
  if (!types.includes("string") || kind === "null" || kind === "array") return MISFIT;
  return numberSource(value) ?? (kind === "object" ? JSON.stringify(value) : String(value));
}

function parseLenient(text: string): unknown {
  const reader = new LenientJson(text, 0, false);
  const json = reader.value();
  return json !== undefined && text.slice(reader.at).trim() === "" ? readExact(json) : undefined;
}

function typesOf(schema: Record<string, unknown>): Kind[] {
  const type = schema["type"];
  if (typeof type === "string") return [type as Kind];
  if (Array.isArray(type)) return type as Kind[];
  const values = Array.isArray(schema["enum"]) ? schema["enum"] : "const" in schema ? [schema["const"]] : [];
  if (values.length > 0) return [...new Set(values.map(kindOf))];
  if (isObject(schema["properties"])) return ["object"];
  return schema["items"] === undefined ? [] : ["array"];
}

function kindOf(value: unknown): Kind {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  const source = numberSource(value);
  if (source !== undefined) return Number.isInteger(Number(source)) ? "integer" : "number";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  if (typeof value === "boolean") return "boolean";
  return typeof value === "string" ? "string" : "object";
}

/** Follows references inside the same schema. */
function resolve(schema: unknown, root: unknown): unknown {
  let known = schema;
  for (let hops = 0; hops < DEEPEST; hops++) {
    const reference = isObject(known) ? known["$ref"] : undefined;
    if (typeof reference !== "string") return known;
    if (!reference.startsWith("#")) return undefined;
    known = root;
    for (const step of reference.slice(1).split("/").slice(1)) {
      const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
      known =
        (isObject(known) || Array.isArray(known)) && Object.hasOwn(known, key)
          ? (known as Record<string, unknown>)[key]
          : undefined;
    }
  }
  return undefined;
}
