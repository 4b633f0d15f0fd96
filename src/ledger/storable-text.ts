/** Makes text from clients and engines fit for Postgres: a strange session id may not cost a row. */

/** Longest text that a client or engine may put into a row; what is longer is cut. */
const LONGEST_TEXT = 500;

/** Postgres cannot store U+0000, and a lone surrogate is no text. */
export function storableText(value: string): string {
  const cut = value.length > LONGEST_TEXT ? value.slice(0, LONGEST_TEXT) : value;
  return cut.replaceAll("\0", "\uFFFD").toWellFormed();
}

export function storableTextOrNull(value: string | null): string | null {
  return value === null ? null : storableText(value);
}
