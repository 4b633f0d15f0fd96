/** A time as ISO 8601 text, as `toISOString` writes it: what is of the same second as the one before is cheap. */

const SECOND_MS = 1_000;

let second = Number.NaN;
/** Up to the point before the milliseconds. */
let text = "";

/** `ms` since 1970. */
export function isoTime(ms: number): string {
  const of = Math.floor(ms / SECOND_MS);
  if (of !== second) {
    text = new Date(of * SECOND_MS).toISOString().slice(0, -4);
    second = of;
  }
  const rest = Math.floor(ms - of * SECOND_MS);
  return `${text}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z`;
}
