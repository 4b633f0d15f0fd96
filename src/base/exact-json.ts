/** Reads and writes JSON without losing a number's digits: what a double cannot hold stays as its source and is written back so. */

type SourceAware = {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(source: string): object;
  isRawJSON(value: unknown): value is { rawJSON: string };
};
// ECMAScript 2026, in Node since 22; TypeScript's library does not have it yet.
const json = JSON as unknown as SourceAware;

/** Like `JSON.parse`; numbers that would change (beyond 2^53, `1.0`, `1e400`) come as `JSON.rawJSON` values. */
export function parseExact(text: string): unknown {
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  );
}

/** The same, but undefined for what is no JSON. */
export function readExact(text: string): unknown {
  try {
    return parseExact(text);
  } catch {
    return undefined;
  }
}

/** A number from its JSON source, digits kept. */
export function exactNumber(source: string): unknown {
  return String(Number(source)) === source ? Number(source) : json.rawJSON(source);
}

/** A number's source, where it was kept. */
export function numberSource(value: unknown): string | undefined {
  return json.isRawJSON(value) ? value.rawJSON : undefined;
}
