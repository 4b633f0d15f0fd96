/** How strings out of a parsed event become the conversation's: from JSON parsed on raw bytes, or on proper text. */
import { asByteText, type ByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";

export type TextMode = {
  /** Streamed text. */
  bytes(value: string): ByteText;
  /** Names and ids, which are proper text everywhere. */
  text(value: string): string;
};

/** The JSON was parsed on latin1: its strings already carry UTF-8 bytes. */
export const BYTES: TextMode = {
  bytes: asByteText,
  text: (value) => (/[\u0080-\u00ff]/.test(value) ? fromByteText(asByteText(value)) : value),
};

/** The JSON was parsed as proper text, because it has `\u` escapes. */
export const TEXT: TextMode = { bytes: toByteText, text: (value) => value };
