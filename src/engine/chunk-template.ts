/**
 * Reads chunks that differ from one seen before only in their text, their counts and what names the answer, without parsing them: nearly all
 * of an answer. All else is compared byte by byte with the chunk that the template was made of, so it means the same; what does not fit in
 * any way is left to the parser.
 */
import { asByteText, type ByteText } from "../conversation/byte-text.ts";
import type { UsageReport } from "../conversation/usage.ts";

/** Where the text stands in a chunk's delta. */
export type TextField = "content" | "reasoning" | "reasoning_content";

/** What may differ: the delta's text, counts that are reported, and strings and numbers that say nothing of the answer. */
type Hole = "text" | "prompt" | "completion" | "string" | "number";

const NUMBERS = {
  created: "number",
  prompt_tokens: "prompt",
  completion_tokens: "completion",
  total_tokens: "number",
} as const satisfies Record<string, Hole>;

const START = "data: {";
const END = "}\n\n";
const QUOTE = 34;
const BACKSLASH = 92;
const SPACE = 32;
const ZERO = 48;
const LOWER_U = 117;
/** Digits of a count that is surely below 2^53. */
const MOST_DIGITS = 15;

/** A view of the bytes that were last looked at: all plain connections read into the same. */
let view = new DataView<ArrayBufferLike>(new ArrayBuffer(0));

/** One event as it came, whole, and what the parser read in it: a delta of this text in this field and nothing else, and this usage. */
export type Lesson = { event: string; field: TextField; text: string; usage: UsageReport | undefined };

export class ChunkTemplate {
  readonly field: TextField;
  /** What the last match found. Without `usage` the chunks report none. */
  text: ByteText = asByteText("");
  readonly usage: UsageReport | undefined;
  /** What stands before the first hole, between each two, and behind the last. */
  readonly #literals: readonly Literal[];
  readonly #holes: readonly Hole[];

  private constructor({ field, usage }: Lesson, literals: readonly Literal[], holes: readonly Hole[]) {
    this.field = field;
    // What is no hole is the same in every chunk.
    this.usage = usage && { ...usage };
    this.#literals = literals;
    this.#holes = holes;
  }

  /** Undefined where what the parser read in the event cannot be found again without doubt. */
  static of(lesson: Lesson): ChunkTemplate | undefined {
    const { event, field, text, usage } = lesson;
    if (!event.startsWith(START) || !event.endsWith(END) || event.indexOf("\n") !== event.length - 2) return undefined;
    const textAt = valueAt(event, field);
    if (textAt === undefined || !event.startsWith(`"${text}"`, textAt)) return undefined;
    const holes: { at: number; length: number; kind: Hole }[] = [{ at: textAt + 1, length: text.length, kind: "text" }];
    const idAt = valueAt(event, "id");
    const id = idAt === undefined ? undefined : /^"([^"\\]*)"/.exec(event.slice(idAt))?.[1];
    if (id !== undefined) holes.push({ at: idAt! + 1, length: id.length, kind: "string" });
    for (const [name, kind] of Object.entries(NUMBERS)) {
      if (!event.includes(`"${name}"`)) continue;
      const at = valueAt(event, name);
      const length = at === undefined ? 0 : digitsAt(event, at);
      if (at === undefined || length === 0) return undefined;
      if (kind !== "number" && usage?.[kind] !== Number(event.slice(at, at + length))) return undefined;
      holes.push({ at, length, kind });
    }
    holes.sort((a, b) => a.at - b.at);
    const literals: Literal[] = [];
    let from = 0;
    for (const { at, length } of holes) {
      literals.push(new Literal(event.slice(from, at)));
      from = at + length;
    }
    literals.push(new Literal(event.slice(from)));
    return new ChunkTemplate(
      lesson,
      literals,
      holes.map(({ kind }) => kind),
    );
  }

  /** Where the event that begins at `start` ends, and what it says; -1 if it is not like the template, or not whole. */
  match(bytes: Buffer, start: number): number {
    if (view.buffer !== bytes.buffer) view = new DataView(bytes.buffer);
    const end = bytes.length;
    let at = start;
    for (let i = 0; i < this.#holes.length; i++) {
      at = this.#literals[i]!.skip(bytes, at);
      if (at < 0) return -1;
      const hole = this.#holes[i];
      if (hole === "text") at = this.#readText(bytes, at, end);
      else if (hole === "string") at = skipString(bytes, at, end);
      else at = this.#readNumber(bytes, at, end, hole);
      if (at < 0) return -1;
    }
    return this.#literals[this.#holes.length]!.skip(bytes, at);
  }

  /** Of this and the following: the place behind it; -1 if it is not one, or not whole. Here also if it is empty or has escaped code units. */
  #readText(bytes: Buffer, from: number, end: number): number {
    let escaped = false;
    for (let at = from; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        if (at === from) return -1;
        if (!escaped) this.text = asByteText(bytes.toString("latin1", from, at));
        else {
          const text = unescaped(bytes.toString("latin1", from - 1, at + 1));
          if (text === undefined) return -1;
          this.text = asByteText(text);
        }
        return at;
      }
      if (byte < SPACE) return -1;
      if (byte === BACKSLASH) {
        escaped = true;
        if (bytes[++at] === LOWER_U) return -1;
      }
    }
    return -1;
  }

  #readNumber(bytes: Buffer, from: number, end: number, hole: Hole | undefined): number {
    let at = from;
    let number = 0;
    for (let digit; at < end && (digit = bytes[at]! - ZERO) >= 0 && digit <= 9; at++) number = number * 10 + digit;
    const digits = at - from;
    if (digits === 0 || digits > MOST_DIGITS || (digits > 1 && bytes[from] === ZERO)) return -1;
    if (this.usage !== undefined && (hole === "completion" || hole === "prompt")) this.usage[hole] = number;
    return at;
  }
}

function skipString(bytes: Buffer, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) return at;
    if (byte < SPACE || byte === BACKSLASH) return -1;
  }
  return -1;
}

/** Bytes that are the same in every chunk, compared four at a time. */
class Literal {
  readonly #length: number;
  readonly #words: number[] = [];
  readonly #rest: number[] = [];

  constructor(text: string) {
    const bytes = Buffer.from(text, "latin1");
    this.#length = bytes.length;
    const whole = bytes.length & ~3;
    for (let at = 0; at < whole; at += 4) this.#words.push(bytes.readInt32LE(at));
    for (let at = whole; at < bytes.length; at++) this.#rest.push(bytes[at]!);
  }

  /** The place behind it if it stands at `at` of the bytes in view, else -1. */
  skip(bytes: Buffer, at: number): number {
    const behind = at + this.#length;
    if (behind > bytes.length) return -1;
    const words = this.#words;
    let place = bytes.byteOffset + at;
    for (let i = 0; i < words.length; i++, place += 4) if (view.getInt32(place, true) !== words[i]) return -1;
    const rest = this.#rest;
    for (let i = 0; i < rest.length; i++) if (view.getUint8(place + i) !== rest[i]) return -1;
    return behind;
  }
}

/**
 * Where the value of the one field of this name begins. Undefined if there is none, or more than one: in a string every quote is escaped, so a
 * name with its quotes is a name (or a whole string, which counts as another), and found once it is the one that the parser read.
 */
function valueAt(event: string, name: string): number | undefined {
  const quoted = `"${name}"`;
  const at = event.indexOf(quoted);
  const colon = at + quoted.length;
  if (at < 0 || event[colon] !== ":" || event.includes(quoted, colon)) return undefined;
  return event.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1;
}

function digitsAt(event: string, at: number): number {
  let end = at;
  while (event.charCodeAt(end) >= ZERO && event.charCodeAt(end) <= ZERO + 9) end++;
  const next = event[end];
  return next === "," || next === "}" ? end - at : 0;
}

function unescaped(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}

/** The templates of a gateway's engines: a few models, each with text and reasoning. Made of what comes in, and bounded. */
export class ChunkTemplates {
  /** Where the event that was found last ends. Kept here, since to return it beside the template would cost an object a chunk. */
  end = -1;
  readonly #all: { template: ChunkTemplate; used: boolean }[] = [];
  readonly #most: number;

  constructor(most = 8) {
    this.#most = most;
  }

  /** One that the event at `start` is like, which then says what stands in it; `end` is set. */
  find(bytes: Buffer, start: number): ChunkTemplate | undefined {
    for (const known of this.#all) {
      const end = known.template.match(bytes, start);
      if (end < 0) continue;
      known.used = true;
      this.end = end;
      return known.template;
    }
    return undefined;
  }

  /** Takes the place of one that nothing was ever like, or of the oldest. */
  learn(lesson: Lesson): void {
    const template = ChunkTemplate.of(lesson);
    if (template === undefined) return;
    if (this.#all.length >= this.#most) {
      const unused = this.#all.findLastIndex(({ used }) => !used);
      this.#all.splice(unused < 0 ? this.#all.length - 1 : unused, 1);
    }
    this.#all.unshift({ template, used: false });
  }
}
