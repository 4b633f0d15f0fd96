/** JSON as bytes: a latin1 string whose char codes are the UTF-8 of the JSON text, ready to be written to a socket. */

export function byteJson(value: string | number | null): string {
  const json = JSON.stringify(value);
  return isAscii(json) ? json : Buffer.from(json, "utf8").toString("latin1");
}

/** JSON of a text in pure ASCII, as Python's and PHP's encoders write it. */
export function escapedJson(text: string): string {
  return JSON.stringify(text)
    .replaceAll("/", "\\/")
    .replaceAll(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}
