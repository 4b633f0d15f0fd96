/** Parses JSON without losing a number's digits: what a double cannot hold stays as its source and is written back so. */

type SourceAware = {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(source: string): object;
};
// ECMAScript 2026, in Node since 22; TypeScript's library does not have it yet.
const json = JSON as unknown as SourceAware;

/** Like `JSON.parse`; numbers that would change (beyond 2^53, `1.0`, `1e400`) come as `JSON.rawJSON` values. */
export function parseExact(text: string): unknown {
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  );
}
