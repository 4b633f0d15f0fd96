/**
 * Reads fields of a JSON body with the types that OpenAI documents; a wrong one is a 400 that names it in `param`.
 * `null` counts as absent, as OpenAI's own schema has it for every optional field.
 */
import { GatewayError } from "../../conversation/errors.ts";
import type { JsonObject } from "../../conversation/request.ts";

/** Refuses the request: `param` is the path of the wrong field, e.g. `messages[2].content[0].type`. */
export function refuse(param: string, problem: string): never {
  throw new GatewayError("invalid_request", `${param}: ${problem}`, { param });
}

/** Whether a parsed value is a JSON object: no array, no null, no number that is held as raw JSON. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

export function objectField(value: unknown, param: string): JsonObject | undefined {
  if (value === undefined || value === null) return undefined;
  return isObject(value) ? value : refuse(param, "must be an object");
}

export function arrayField(value: unknown, param: string): unknown[] | undefined {
  if (value === undefined || value === null) return undefined;
  return Array.isArray(value) ? value : refuse(param, "must be an array");
}

export function stringField(value: unknown, param: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : refuse(param, "must be a string");
}

/** A string that must be there and say something. */
export function requiredString(value: unknown, param: string): string {
  if (value === undefined || value === null) return refuse(param, "is missing");
  if (typeof value !== "string") return refuse(param, "must be a string");
  return value === "" ? refuse(param, "must not be empty") : value;
}

export function booleanField(value: unknown, param: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "boolean" ? value : refuse(param, "must be true or false");
}

export function numberField(value: unknown, param: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = JSON.isRawJSON(value) ? Number(value.rawJSON) : value;
  // 1e999 is valid JSON and means Infinity, which no engine can be sent.
  return typeof number === "number" && Number.isFinite(number) ? number : refuse(param, "must be a number");
}

/** A whole number of at least `least`; what is beyond 2^53 - 1 is held at that, since only counts are read with this. */
export function countField(value: unknown, param: string, least: number): number | undefined {
  const number = numberField(value, param);
  if (number === undefined) return undefined;
  if (!Number.isInteger(number) || number < least) refuse(param, `must be a whole number of at least ${least}`);
  return Math.min(number, Number.MAX_SAFE_INTEGER);
}
