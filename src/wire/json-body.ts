/**
 * Knows how a request body becomes a JSON object that can be worked on safely: complete, bounded in depth, of
 * well-formed text, and with numbers that JavaScript cannot hold kept as they were written.
 */
import { GatewayError } from "../conversation/errors.ts";
import type { JsonObject } from "../conversation/request.ts";
import { mayBeIllFormed, wellFormed } from "./well-formed.ts";

/** What `JSON.rawJSON` makes: `JSON.stringify` writes its source back, byte for byte. */
export type RawJson = { readonly rawJSON: string };

declare global {
  // ES2026 "JSON.parse source text access"; in Node since 22, not yet in TypeScript's library.
  interface JSON {
    rawJSON(source: string): RawJson;
    isRawJSON(value: unknown): value is RawJson;
    parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  }
}

/** Deeper than any real request (tool schemas reach about 20), and far from exhausting the stack of any later walk. */
const MAX_DEPTH = 200;

/**
 * Parses a request body. Numbers beyond ±(2^53 - 1) come back as `JSON.rawJSON` values, so that they are written out
 * again as they came; every other value is plain. Half a surrogate pair comes back as U+FFFD.
 *
 * Throws GatewayError `invalid_json` (not JSON) or `invalid_request` (not an object, or nested too deeply). The
 * messages never quote the body.
 */
export function parseBody(text: string): JsonObject {
  const body = parse(text);
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new GatewayError("invalid_request", `the request body must be a JSON object, not ${nameOfType(body)}`);
  const findings = inspect(body, MAX_DEPTH);
  if (findings === "too-deep")
    throw new GatewayError("invalid_request", `the request body is nested more than ${MAX_DEPTH} levels deep`);
  // Rare, and three times the cost: only when the first reading met a number that it could not hold.
  const exact = findings === "lossy-number" ? JSON.parse(text, keepLossyNumber) : body;
  return (mayBeIllFormed(text) ? wellFormed(exact) : exact) as JsonObject;
}

function parse(text: string): unknown {
  if (text.charCodeAt(0) === 0xfeff)
    throw new GatewayError("invalid_json", "the request body starts with a byte order mark; send JSON without one");
  if (text.trim() === "") throw new GatewayError("invalid_json", "the request body is empty; send a JSON object");
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's own message quotes the text around the fault, which may be a prompt: only the place is taken from it.
    const place =
      error instanceof SyntaxError ? /at position \d+(?: \(line \d+ column \d+\))?/.exec(error.message) : null;
    throw new GatewayError(
      "invalid_json",
      `the request body is not valid JSON${place === null ? "" : ` (${place[0]})`}`,
    );
  }
}

type Findings = "plain" | "lossy-number" | "too-deep";

/** Looks through a parsed container. Arrays by index: `for…in` makes a string of each, which costs more than the parsing. */
function inspect(container: object, depth: number): Findings {
  if (depth === 0) return "too-deep";
  let findings: Findings = "plain";
  if (Array.isArray(container)) {
    for (let at = 0; at < container.length; at++) {
      const found = inspectValue(container[at], depth);
      if (found === "too-deep") return found;
      if (found === "lossy-number") findings = found;
    }
    return findings;
  }
  for (const key in container) {
    const found = inspectValue((container as JsonObject)[key], depth);
    if (found === "too-deep") return found;
    if (found === "lossy-number") findings = found;
  }
  return findings;
}

function inspectValue(value: unknown, depth: number): Findings {
  if (typeof value === "number") return isLossy(value) ? "lossy-number" : "plain";
  return typeof value === "object" && value !== null ? inspect(value, depth - 1) : "plain";
}

function isLossy(number: number): boolean {
  return number > Number.MAX_SAFE_INTEGER || number < Number.MIN_SAFE_INTEGER;
}

function keepLossyNumber(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || !isLossy(value) || context.source === undefined) return value;
  return JSON.rawJSON(context.source);
}

function nameOfType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return `a ${typeof value}`;
}
