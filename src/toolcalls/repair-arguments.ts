/**
 * Makes a call's argument text what its tool's schema asks for, or says that it cannot be: never by inventing a value.
 * What is valid as it came stays as it came, byte for byte.
 */
import type { JsonObject } from "../conversation/request.ts";
import { isObject } from "../base/is-object.ts";
import { type DeclaredTool, shapeOf } from "./declared-tool.ts";
import { readExact } from "../base/exact-json.ts";
import { fitArguments } from "./fit-arguments.ts";
import { LenientJson, escaped } from "./lenient-json.ts";
import { matchName } from "./match-name.ts";
import { splitObjects } from "./split-objects.ts";

export type RepairedArguments = { arguments: string; repaired: boolean };

/** Strings in strings in strings: deeper is no accident any more. */
const DEEPEST = 3;
const FENCE = /^```[\w ]*\n([\s\S]*?)\n?```$/;
/** Gemma's quote token, whole or half turned into quotes. */
const QUOTE_TOKENS = /"?<\|"\|[">]/g;
/** What may stand behind complete arguments: closers too many, and tags that closed something. */
const BEHIND = /^(?:[\s\]};,]|<\/[\w:.-]+>|<\|[\w|]{1,40}\|?>|```)*$/;
const ENVELOPES = ["arguments", "parameters", "params", "args", "input"];

/** Undefined when the arguments cannot be what the tool asks for. */
export function repairArguments(text: string, tool: DeclaredTool): RepairedArguments | undefined {
  return repair(text, tool, 0);
}

function repair(text: string, tool: DeclaredTool, depth: number): RepairedArguments | undefined {
  const bare = text.trim();
  const exact = readExact(bare);
  if (isObject(exact)) return settle(exact, bare, false, tool, depth);
  if (Array.isArray(exact) && exact.length === 1 && isObject(exact[0])) {
    return asRepaired(settle(exact[0], JSON.stringify(exact[0]), true, tool, depth));
  }
  if (typeof exact === "string") return depth < DEEPEST ? asRepaired(repair(exact, tool, depth + 1)) : undefined;
  if (bare === "" || exact === null) {
    return shapeOf(tool).required.length === 0 ? { arguments: "{}", repaired: true } : undefined;
  }
  return mended(bare, tool, depth) ?? asOnlyText(text, tool);
}

function mended(bare: string, tool: DeclaredTool, depth: number): RepairedArguments | undefined {
  const unfenced = FENCE.exec(bare)?.[1]?.trim() ?? bare;
  const candidates = [unfenced];
  if (/^\{\s*\{[\s\S]*\}\s*\}$/.test(unfenced)) candidates.push(unfenced.slice(1, -1).trim());
  if (unfenced.includes('<|"|')) candidates.push(unfenced.replace(QUOTE_TOKENS, '"'));
  for (const candidate of candidates) {
    const objects = splitObjects(candidate);
    const [only] = objects;
    // Several different ones are several calls, which is not for this function to make.
    if (objects.length !== 1 || only === undefined) return undefined;
    const reader = new LenientJson(only, 0, true);
    const json = reader.value();
    const value = json === undefined || !BEHIND.test(only.slice(reader.at)) ? undefined : readExact(json);
    if (json !== undefined && isObject(value)) {
      const settled = asRepaired(settle(value, json, true, tool, depth));
      if (settled !== undefined) return settled;
    }
  }
  return withQuotesEscaped(unfenced, tool);
}

function settle(
  value: JsonObject,
  source: string,
  repaired: boolean,
  tool: DeclaredTool,
  depth: number,
): RepairedArguments | undefined {
  const fitted = fitArguments(value, tool);
  if (fitted !== undefined) {
    return fitted.changed
      ? { arguments: JSON.stringify(fitted.value), repaired: true }
      : { arguments: source, repaired };
  }
  if (depth >= DEEPEST) return undefined;
  // The whole call, or an envelope, stands where only its arguments should.
  const { properties } = shapeOf(tool);
  for (const key of ENVELOPES) {
    if (properties.has(key) || !Object.hasOwn(value, key)) continue;
    const others = Object.keys(value).filter((other) => other !== key);
    if (!others.every((other) => ["name", "function", "tool", "type", "id"].includes(other))) continue;
    const name = value["name"] ?? value["function"] ?? value["tool"];
    if (name !== undefined && (typeof name !== "string" || matchName(name, [tool]) === undefined)) continue;
    return asRepaired(repair(JSON.stringify(value[key]), tool, depth + 1));
  }
  return undefined;
}

/**
 * Quotes inside a text that were not escaped. Only where nothing can be mistaken: the text is the tool's last required
 * member and written last, so that its end is the end of all.
 */
function withQuotesEscaped(text: string, tool: DeclaredTool): RepairedArguments | undefined {
  const { properties, required } = shapeOf(tool);
  const key = required.at(-1);
  if (key === undefined || !isText(properties.get(key))) return undefined;
  const opening = text.indexOf(`"${key}"`);
  const start =
    opening < 0 ? undefined : /^\s*:\s*"/.exec(text.slice(opening + key.length + 2, opening + key.length + 34));
  const end = /"\s*\}\s*$/.exec(text.slice(-32));
  if (start === undefined || start === null || end === null) return undefined;
  const from = opening + key.length + 2 + start[0].length;
  const to = text.length - end[0].length;
  if (to < from) return undefined;
  const inner = text.slice(from, to);
  // A quote that was escaped, or is one of an inner pair, is not the text's own end: it was cut.
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(inner.slice(-64)) || quotesIn(inner) % 2 !== 0) return undefined;
  // Another member behind it: then its end is not known.
  if ([...properties.keys()].some((other) => inner.includes(`"${other}":`) || inner.includes(`"${other}" :`)))
    return undefined;
  const json = `${text.slice(0, from)}${escaped(inner)}"}`;
  const value = readExact(json);
  return isObject(value) ? asRepaired(settle(value, json, true, tool, DEEPEST)) : undefined;
}

/** Quotes that no backslash escapes. */
function quotesIn(text: string): number {
  return text.replace(/\\[\s\S]/g, "").split('"').length - 1;
}

/** Plain text for a tool that needs one text and nothing else. */
function asOnlyText(text: string, tool: DeclaredTool): RepairedArguments | undefined {
  const { properties, required } = shapeOf(tool);
  const [key, ...others] = required;
  const bare = text.trim();
  if (key === undefined || others.length > 0 || bare === "" || !isText(properties.get(key))) return undefined;
  // What began as JSON, a tag or a token was meant as more than text.
  if (/^\w+\s*=\s*["']|^["'{[<`(]|[\u0000-\u0008]/.test(bare)) return undefined;
  return { arguments: JSON.stringify({ [key]: bare }), repaired: true };
}

function isText(schema: unknown): boolean {
  return isObject(schema) && schema["type"] === "string" && schema["enum"] === undefined;
}

function asRepaired(found: RepairedArguments | undefined): RepairedArguments | undefined {
  return found === undefined ? undefined : { arguments: found.arguments, repaired: true };
}
