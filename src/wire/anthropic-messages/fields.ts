/** Knows how to read typed fields out of parsed JSON, and how Anthropic words it when one is wrong: `path: problem`. */
import { GatewayError } from "../../conversation/errors.ts";
import type { JsonObject } from "../../conversation/request.ts";

/** Refuses the request; `path` is dotted, as in Anthropic's own errors (`messages.3.content.0.text`). */
export function refuse(path: string, problem: string): never {
  throw new GatewayError("invalid_request", `${path}: ${problem}`, { param: path });
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** Whether an optional field is there; clients send `null` for "not set". */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export function requireObject(value: unknown, path: string): JsonObject {
  if (isObject(value)) return value;
  return refuse(path, problemOf(value, "object"));
}

export function requireArray(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value;
  return refuse(path, problemOf(value, "array"));
}

export function requireString(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  return refuse(path, problemOf(value, "string"));
}

/** A string that names or identifies something, so that an empty one is no use. */
export function requireName(value: unknown, path: string): string {
  const name = requireString(value, path);
  if (name === "") refuse(path, "String should have at least 1 character");
  return name;
}

export function optionalString(value: unknown, path: string): string | undefined {
  return isGiven(value) ? requireString(value, path) : undefined;
}

export function optionalBoolean(value: unknown, path: string): boolean | undefined {
  if (!isGiven(value)) return undefined;
  if (typeof value === "boolean") return value;
  return refuse(path, "Input should be a valid boolean");
}

export function optionalNumber(value: unknown, path: string): number | undefined {
  if (!isGiven(value)) return undefined;
  const number = JSON.isRawJSON(value) ? Number(value.rawJSON) : value;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  return refuse(path, "Input should be a valid number");
}

/** A whole number of at least `least`; one too large to be held is brought down to the largest that can be. */
export function optionalCount(value: unknown, path: string, least: number): number | undefined {
  const number = optionalNumber(value, path);
  if (number === undefined) return undefined;
  if (!Number.isInteger(number)) refuse(path, "Input should be a valid integer");
  if (number < least) refuse(path, `Input should be greater than or equal to ${least}`);
  return Math.min(number, Number.MAX_SAFE_INTEGER);
}

function problemOf(value: unknown, wanted: string): string {
  return value === undefined ? "Field required" : `Input should be a valid ${wanted}`;
}
