/** Fits parsed arguments to their tool: other spellings of a key, types, required members. Nothing missing is made up. */
import type { JsonObject } from "../conversation/request.ts";
import { MISFIT, coerce, schemaRoot } from "./coerce.ts";
import { type DeclaredTool, shapeOf } from "./declared-tool.ts";

export type Fitted = { value: JsonObject; changed: boolean };

/** Keys that models take for each other, without case and separators. */
const ALIASES: readonly (readonly string[])[] = [
  ["path", "file", "filename", "filepath", "targetfile", "absolutepath"],
  ["command", "cmd", "script"],
  ["query", "q", "searchquery", "searchterm"],
  ["content", "contents", "text", "filecontent"],
  ["pattern", "regex"],
  ["oldstring", "oldstr", "oldtext"],
  ["newstring", "newstr", "newtext"],
  ["url", "uri", "link"],
];

/** Undefined when a required member is missing or a member of the schema has a type that it cannot have. */
export function fitArguments(value: JsonObject, tool: DeclaredTool): Fitted | undefined {
  const { properties, required } = shapeOf(tool);
  const entries: [string, unknown][] = [];
  const renamed = renamedKeys(Object.keys(value), tool);
  const root = schemaRoot(tool.schema);
  let changed = renamed.size > 0;
  for (const [written, each] of Object.entries(value)) {
    const key = renamed.get(written) ?? written;
    if (!properties.has(key)) {
      entries.push([key, each]);
      continue;
    }
    const made = coerce(each, properties.get(key), root);
    if (made === MISFIT) {
      // `null` for what need not be there says that it is not there; what must be there is looked for below.
      if (each !== null) return undefined;
      changed = true;
      continue;
    }
    changed ||= made !== each;
    entries.push([key, made]);
  }
  const fitted = changed ? (Object.fromEntries(entries) as JsonObject) : value;
  return required.every((key) => Object.hasOwn(fitted, key)) ? { value: fitted, changed } : undefined;
}

/** The declared key that each unknown one must mean; those that could mean two, or be meant by two, are left. */
function renamedKeys(keys: readonly string[], tool: DeclaredTool): Map<string, string> {
  const { properties, required } = shapeOf(tool);
  const unknown = keys.filter((key) => !properties.has(key));
  const renamed = new Map<string, string>();
  if (unknown.length === 0 || properties.size === 0) return renamed;
  const free = [...properties.keys()].filter((key) => !keys.includes(key));
  for (const same of [sameLetters, sameMeaning]) {
    const candidates = same === sameLetters ? free : free.filter((key) => required.includes(key));
    for (const key of unknown) {
      const targets = candidates.filter((target) => same(key, target));
      const [target] = targets;
      if (targets.length !== 1 || target === undefined || renamed.has(key)) continue;
      if ([...renamed.values()].includes(target)) continue;
      if (unknown.filter((other) => same(other, target)).length === 1) renamed.set(key, target);
    }
  }
  return renamed;
}

function sameLetters(one: string, other: string): boolean {
  return plain(one) === plain(other);
}

function sameMeaning(one: string, other: string): boolean {
  return ALIASES.some((words) => words.includes(plain(one)) && words.includes(plain(other)));
}

function plain(key: string): string {
  return key.replace(/[^a-zA-Z0-9]/g, "").toLowerCase();
}
