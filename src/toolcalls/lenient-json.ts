/**
 * Reads what models write for JSON: raw newlines in strings, Python's literals and quotes, bare keys, typographic quotes,
 * quote tokens, values in tags, missing closers. What is read is given as strict JSON text, unchanged where it was strict.
 *
 * Works on text and on text carried as bytes. A value that ends with the text is only whole if its own end is there.
 */

export type Member = { key: string; json: string };

/** Deeper nesting is nobody's arguments, and would end in a full stack. */
const DEEPEST = 100;

const SPACE = /[\s]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y;
const WORD = /[A-Za-z_$][\w$-]*/y;
const RAW_TAG = /<([A-Za-z_]\w*)>/y;
const COLON = /:|=>?/y;
const QUOTE_TOKEN = '<|"|>';
const LITERALS = new Map([
  ["true", "true"],
  ["false", "false"],
  ["null", "null"],
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);
/** Quotes by their opening; typographic ones as text and as its bytes. */
const QUOTES: readonly (readonly [open: string, close: readonly string[]])[] = [
  ['"""', ['"""']],
  ["'''", ["'''"]],
  ['"', ['"']],
  ["'", ["'"]],
  ["\u201c", ["\u201d", "\u201c"]],
  ["\xe2\x80\x9c", ["\xe2\x80\x9d", "\xe2\x80\x9c"]],
];
const OPENINGS = [QUOTE_TOKEN, ...QUOTES.map(([open]) => open)];
const TYPOGRAPHIC_SINGLE = /[\u2018\u2019]|\xe2\x80[\x98\x99]/g;
/** What can only stand behind a whole object: the object's own closers were forgotten. */
const BEHIND = /<\/[\w:]|<\||<\xef\xbd\x9c|<\uff5c|<tool_call\|>|```/y;
const TO_ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}|[\s\S])|["\u0000-\u001f]/g;

export class LenientJson {
  readonly #text: string;
  readonly #final: boolean;
  #depth = 0;
  /** Behind what was read. */
  at: number;
  /** What was read so far differs from strict JSON. */
  mended = false;
  /** The text ended before the value did: more of it may make it whole. */
  short = false;
  /** The members of the outermost object, as far as they are whole. */
  readonly members: Member[] = [];

  /** `final` when no more text will come. */
  constructor(text: string, at: number, final: boolean) {
    this.#text = text;
    this.at = at;
    this.#final = final;
  }

  /** The value here as strict JSON; undefined when it is `short`, or is none. */
  value(): string | undefined {
    this.#space();
    const start = this.at;
    const char = this.#text[start];
    if (char === undefined) return this.#ended();
    if (char === "{" || char === "[" || char === "(") {
      if (++this.#depth > DEEPEST) return undefined;
      const before = this.mended;
      this.mended = false;
      const json = char === "{" ? this.#object() : this.#array(char === "[" ? "]" : ")");
      const own = this.mended;
      this.mended ||= before;
      this.#depth--;
      return json === undefined || own ? json : this.#text.slice(start, this.at);
    }
    return this.#string() ?? (this.short ? undefined : this.#scalar());
  }

  #object(): string | undefined {
    const found: Member[] = this.#depth === 1 ? this.members : [];
    this.at++;
    for (let first = true; ; first = false) {
      this.#space();
      if (this.#text[this.at] === "}") {
        if (!first) this.mended = true;
        this.at++;
        return written(found);
      }
      const key = this.#key();
      if (key === undefined) return undefined;
      this.#space();
      const colon = match(COLON, this.#text, this.at);
      if (colon === undefined) return this.at >= this.#text.length ? this.#ended() : undefined;
      if (colon === "=" && this.at + 1 >= this.#text.length) return this.#ended();
      if (colon !== ":") this.mended = true;
      this.at += colon.length;
      const json = this.value();
      if (json === undefined) return undefined;
      found.push({ key, json });
      if (!this.#another("}")) return this.short || this.#broken ? undefined : written(found);
    }
  }

  #array(close: string): string | undefined {
    const found: string[] = [];
    if (close === ")") this.mended = true;
    this.at++;
    for (let first = true; ; first = false) {
      this.#space();
      if (this.#text[this.at] === close) {
        if (!first) this.mended = true;
        this.at++;
        return `[${found.join(",")}]`;
      }
      const json = this.value();
      if (json === undefined) return undefined;
      found.push(json);
      if (!this.#another(close)) return this.short || this.#broken ? undefined : `[${found.join(",")}]`;
    }
  }

  #broken = false;

  /** Goes over what stands behind a member: whether another must follow. Sets `short` or broken when neither is clear. */
  #another(close: string): boolean {
    this.#space();
    const char = this.#text[this.at];
    if (char === ",") {
      this.at++;
      return true;
    }
    if (char === close) {
      this.at++;
    } else if (char === undefined) {
      if (this.#final) this.mended = true;
      else this.short = true;
    } else if (match(BEHIND, this.#text, this.at) !== undefined) {
      this.mended = true;
    } else if (!this.#final && this.#text.length - this.at < 3) {
      this.short = true;
    } else {
      this.#broken = true;
    }
    return false;
  }

  #key(): string | undefined {
    const quoted = this.#string();
    if (quoted !== undefined) return JSON.parse(quoted) as string;
    if (this.short) return undefined;
    const word = match(WORD, this.#text, this.at);
    if (word === undefined) return this.at >= this.#text.length ? this.#ended() : undefined;
    this.at += word.length;
    if (this.at >= this.#text.length) return this.#ended();
    this.mended = true;
    return word;
  }

  #string(): string | undefined {
    const text = this.#text;
    // An opening quote of several characters may have come in part.
    const rest = text.length - this.at < QUOTE_TOKEN.length ? text.slice(this.at) : "";
    if (!this.#final && rest !== "" && OPENINGS.some((open) => open.length > rest.length && open.startsWith(rest))) {
      return this.#ended();
    }
    if (text.startsWith(QUOTE_TOKEN, this.at)) return this.#raw(this.at + QUOTE_TOKEN.length, QUOTE_TOKEN);
    if (text[this.at] === "<") {
      const tag = match(RAW_TAG, text, this.at);
      if (tag !== undefined) return this.#raw(this.at + tag.length, `</${tag.slice(1)}`);
      if (!this.#final && text.length - this.at < 64 && text.indexOf(">", this.at) < 0) this.short = true;
      return undefined;
    }
    for (const [open, closes] of QUOTES) {
      if (!text.startsWith(open, this.at)) continue;
      const from = this.at + open.length;
      const end = Math.min(...closes.map((close) => closeAt(text, from, close)));
      if (end === Infinity) return this.#ended();
      let raw = text.slice(from, end);
      if (open !== '"') this.mended = true;
      if (open.length > 1 || open > "\u007f") raw = raw.replace(TYPOGRAPHIC_SINGLE, "'");
      const json = escaped(raw);
      if (json !== raw) this.mended = true;
      this.at = end + (closes[0] ?? open).length;
      return `"${json}"`;
    }
    return undefined;
  }

  /** A string without escapes, up to its own end. */
  #raw(from: number, close: string): string | undefined {
    const end = this.#text.indexOf(close, from);
    if (end < 0) return this.#ended();
    this.mended = true;
    this.at = end + close.length;
    return JSON.stringify(this.#text.slice(from, end));
  }

  #scalar(): string | undefined {
    const found = match(NUMBER, this.#text, this.at) ?? match(WORD, this.#text, this.at);
    if (found === undefined)
      return /^-?[\d.]*$/.test(this.#text.slice(this.at, this.at + 40)) ? this.#ended() : undefined;
    // A number or word at the very end may have been cut.
    if (this.at + found.length >= this.#text.length) return this.#ended();
    const json = /^[-\d]/.test(found) ? found : LITERALS.get(found);
    if (json === undefined) return undefined;
    if (json !== found) this.mended = true;
    this.at += found.length;
    return json;
  }

  #ended(): undefined {
    this.short = true;
    return undefined;
  }

  #space(): void {
    this.at += match(SPACE, this.#text, this.at)?.length ?? 0;
  }
}

/** Strict JSON text of an object. */
export function written(members: readonly Member[]): string {
  return `{${members.map(({ key, json }) => `${JSON.stringify(key)}:${json}`).join(",")}}`;
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Offset of the first closing quote that no backslash escapes, or Infinity. */
function closeAt(text: string, from: number, close: string): number {
  for (let at = text.indexOf(close, from); at >= 0; at = text.indexOf(close, at + 1)) {
    let slashes = 0;
    while (at - slashes > from && text[at - slashes - 1] === "\\") slashes++;
    if (slashes % 2 === 0) return at;
  }
  return Infinity;
}

/** What stood between quotes, as it stands in strict JSON: control characters escaped, escapes that are none kept as text. */
export function escaped(raw: string): string {
  return raw.replace(TO_ESCAPE, (found) => {
    if (found.length === 1) return JSON.stringify(found).slice(1, -1);
    if (found === "\\'") return "'";
    return found.length > 2 || /["\\/bfnrt]/.test(found.charAt(1)) ? found : `\\${escapedPair(found)}`;
  });
}

/** A backslash that escapes nothing is text. */
function escapedPair(found: string): string {
  return `\\${JSON.stringify(found.slice(1)).slice(1, -1)}`;
}
