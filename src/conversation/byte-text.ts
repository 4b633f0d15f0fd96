/**
 * Text carried as bytes: a string whose every char code is one byte of the text's UTF-8 encoding (latin1 decoding).
 *
 * Streams are translated in this form from the engine's socket to the client's, so that a code point cut between two
 * reads needs no care and nothing is transcoded. ASCII is unchanged by it; `JSON.stringify` leaves its bytes alone;
 * writing it to a socket as `latin1` gives back the exact UTF-8. See decisions/0002-bytes-in-latin1-strings.md.
 */
export type ByteText = string & { readonly __byteText: never };

/** Carries proper text as bytes. A lone surrogate becomes U+FFFD, as in any UTF-8 encoder. */
export function toByteText(text: string): ByteText {
  return Buffer.from(text, "utf8").toString("latin1") as ByteText;
}

/** Gives back the text that the bytes encode; invalid UTF-8 becomes U+FFFD. */
export function fromByteText(bytes: ByteText): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** Marks a string that already carries bytes: read from a socket as latin1, or known to be ASCII. */
export function asByteText(bytes: string): ByteText {
  return bytes as ByteText;
}
