/** Writes CSV as spreadsheets and RFC 4180 have it, safe to open: no cell is taken for a formula. */

/** Lines end with CRLF. Null is an empty cell. */
export function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  // A spreadsheet runs what begins so; what is a figure below zero to its end, or nothing but a dash, it does not.
  const safe = /^[=+@\t\r]|^-(?!(?:\d+(?:\.\d+)?)?$)/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
