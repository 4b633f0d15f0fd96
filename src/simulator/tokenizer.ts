/**
 * The stand-in for a tokenizer: deterministic, stateless and invertible, about four bytes of English a token.
 *
 * A token is up to six bytes of UTF-8, packed into its id behind a leading 1, so that ids need no vocabulary and any ids
 * give back their text. The chat template's markers are single tokens with small ids, as in real vocabularies.
 */

/** Markers of ChatML and of hermes tool calls; the id of each is its place plus one. */
const MARKERS = [
  "<|im_start|>",
  "<|im_end|>",
  "<tool_call>",
  "</tool_call>",
  "<tool_response>",
  "</tool_response>",
  "<think>",
  "</think>",
].map((text) => Buffer.from(text));

const MAX_BYTES = 6;

const PUNCTUATION = 0;
const LETTER = 1;
const DIGIT = 2;
const SPACE = 3;
const MULTIBYTE = 4;

const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return MULTIBYTE;
  if ((byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x5f) return LETTER;
  if (byte >= 0x30 && byte <= 0x39) return DIGIT;
  if (byte <= 0x20) return SPACE;
  return PUNCTUATION;
});
/** Longest token that begins with a byte of each class. */
const LONGEST = [3, MAX_BYTES, 3, MAX_BYTES, 4];

export type Tokens = Float64Array;

/** Room for the tokens of a text while they are counted; grows with the longest text. */
let room = new Float64Array(1024);

/** Cuts text into tokens. */
export function tokenize(text: string): Tokens {
  const bytes = Buffer.from(text, "utf8");
  if (room.length < bytes.length) room = new Float64Array(bytes.length * 2);
  const tokens = room;
  let count = 0;
  for (let start = 0; start < bytes.length;) {
    const marker = bytes[start] === 0x3c ? markerAt(bytes, start) : 0;
    if (marker > 0) {
      tokens[count++] = marker;
      start += MARKERS[marker - 1]!.length;
      continue;
    }
    const end = tokenEnd(bytes, start);
    let id = 1;
    for (let i = start; i < end; i++) id = id * 256 + bytes[i]!;
    tokens[count++] = id;
    start = end;
  }
  return tokens.slice(0, count);
}

/** The text of token ids; what is not valid UTF-8 becomes U+FFFD. Throws RangeError for an id that no text gives. */
export function detokenize(tokens: Iterable<number>): string {
  const parts: Buffer[] = [];
  for (const id of tokens) parts.push(tokenBytes(id));
  return Buffer.concat(parts).toString("utf8");
}

/** The text of each token, in order. No token holds a part of a code point. */
export function tokenTexts(text: string): string[] {
  return Array.from(tokenize(text), (id) => tokenBytes(id).toString("utf8"));
}

function markerAt(bytes: Buffer, start: number): number {
  for (let i = 0; i < MARKERS.length; i++) {
    const marker = MARKERS[i]!;
    if (bytes.compare(marker, 0, marker.length, start, Math.min(start + marker.length, bytes.length)) === 0)
      return i + 1;
  }
  return 0;
}

/** Where the token ends that begins at `start`: a word with the space before it, a number, a run of spaces or signs. */
function tokenEnd(bytes: Buffer, start: number): number {
  let kind = CLASS[bytes[start]!]!;
  if (kind === MULTIBYTE) return start + codePointLength(bytes, start);
  let end = start + 1;
  const limit = Math.min(bytes.length, start + LONGEST[kind]!);
  if (kind === SPACE && bytes[start] === 0x20 && end < bytes.length && CLASS[bytes[end]!] === LETTER) {
    kind = LETTER;
    end++;
  }
  while (end < limit && CLASS[bytes[end]!] === kind && bytes[end] !== 0x3c) end++;
  // The space before a word belongs to the word.
  if (
    kind === SPACE &&
    end - start > 1 &&
    end < bytes.length &&
    bytes[end - 1] === 0x20 &&
    CLASS[bytes[end]!] === LETTER
  )
    end--;
  return end;
}

function codePointLength(bytes: Buffer, start: number): number {
  const lead = bytes[start]!;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return Math.min(length, bytes.length - start);
}

function tokenBytes(id: number): Buffer {
  const marker = MARKERS[id - 1];
  if (marker) return marker;
  if (!Number.isSafeInteger(id) || id < 256) throw new RangeError(`no token has the id ${id}`);
  const bytes: number[] = [];
  let rest = id;
  while (rest > 1) {
    bytes.push(rest % 256);
    rest = Math.floor(rest / 256);
  }
  if (rest !== 1 || bytes.length > MAX_BYTES) throw new RangeError(`no token has the id ${id}`);
  return Buffer.from(bytes.toReversed());
}
