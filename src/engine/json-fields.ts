/** Careful reading of JSON that an engine sent: every accessor gives undefined for what is not of its type. */
import type { SmallAnswer } from "./small-request.ts";

export type Fields = { readonly [key: string]: unknown };

export function asFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** The objects of an array; an empty list for anything else. */
export function asList(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(asFields).filter((item) => item !== undefined) : [];
}

/** A string that is not empty. */
export function asText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A positive integer. */
export function asCount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

/** The body of a 200 as a JSON object; undefined for another status or anything else. */
export function jsonAnswer(answer: Pick<SmallAnswer, "status" | "text"> | undefined): Fields | undefined {
  if (answer?.status !== 200) return undefined;
  try {
    return asFields(JSON.parse(answer.text));
  } catch {
    return undefined;
  }
}
