/** Finds in streamed text where a call may begin, by a place's first characters, and knows lines and blocks of code for it. */
import type { CallVocabulary } from "./declared-tool.ts";
import { skipSpace } from "./tokens.ts";

/** Where a mark may begin in the middle of a line, and where lines begin. */
const INTERESTING = /[<[\]\n]/g;
/** What can follow a "<" that opens a mark, apart from declared names. */
const BEHIND_BRACKET = /[tTfFicmalsS|/\xef]/;

/** Words that begin a call at the start of a line. */
const LINE_WORDS = /^(?:(?:assistant)?commentary to=|(?:to=)?functions\.|functools\[|Action: )/;
const LINE_WORD_BEGINS =
  /^(?:a(?:s(?:s(?:i(?:s(?:t(?:a(?:n(?:t(?:c\w*)?)?)?)?)?)?)?)?)?|c(?:o(?:m(?:m(?:e(?:n(?:t(?:a(?:r(?:y(?: t?o?)?)?)?)?)?)?)?)?)?)?|t(?:o(?:=(?:f\w*)?)?)?|f(?:u(?:n(?:c(?:t(?:o(?:o(?:ls?)?)?|i(?:o(?:ns?)?)?)?)?)?)?)?|A(?:c(?:t(?:i(?:o(?:n:?)?)?)?)?)?)$/;

export class CallPlaces {
  readonly #vocabulary: CallVocabulary;
  /** Only white space since the line began. */
  #blank = true;
  /** Inside a code block; its fence's ticks in the line so far. */
  #fenced = false;
  #ticks = 0;
  /** Whether the place that was found last is a line's beginning. */
  lineStart = false;

  constructor(vocabulary: CallVocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Another text begins. */
  begin(): void {
    this.#blank = true;
    this.#fenced = false;
    this.#ticks = 0;
  }

  /** What follows is read as at a line's beginning. */
  beginLine(): void {
    this.#blank = true;
  }

  /** Three backticks at a line's beginning were no call's. */
  openBlock(): void {
    this.#fenced = true;
    this.#ticks = 0;
    this.#blank = false;
  }

  /** This was given out without having been looked through. */
  pass(text: string): void {
    const line = text.slice(text.lastIndexOf("\n") + 1);
    this.#blank = line.trim() === "" && (this.#blank || line.length < text.length);
  }

  /** Whether the text is more of a line, in code or outside, in which no call can begin: going through it would change nothing here. */
  isPlain(text: string): boolean {
    if (this.#blank) return false;
    INTERESTING.lastIndex = 0;
    return !INTERESTING.test(text);
  }

  /** Where in the next text a call may begin; -1: nowhere. Looks through the text up to there, or all of it, once. */
  find(text: string): number {
    let at = 0;
    while (at < text.length) {
      if (this.#fenced) {
        at = this.#pastFenced(text, at);
        continue;
      }
      if (this.#blank) {
        at = skipSpace(text, at);
        if (at >= text.length) break;
        this.#blank = false;
        if (this.#mayBegin(text, at, true)) return this.#found(at, true);
      }
      INTERESTING.lastIndex = at;
      const found = INTERESTING.exec(text);
      if (found === null) break;
      at = found.index;
      if (found[0] === "\n") this.#blank = true;
      else if (this.#mayBegin(text, at, false)) return this.#found(at, false);
      at++;
    }
    return -1;
  }

  #found(at: number, lineStart: boolean): number {
    this.lineStart = lineStart;
    return at;
  }

  /** Whether a call may begin here, from its first characters. */
  #mayBegin(text: string, at: number, lineStart: boolean): boolean {
    const next = text[at + 1];
    switch (text[at]) {
      case "<":
        return next === undefined || BEHIND_BRACKET.test(next) || this.#vocabulary.initials.includes(next);
      case "[":
        return next === undefined || (lineStart ? !/[!\]"'\d]/.test(next) : /[TtEe/]/.test(next));
      case "]":
        return next === undefined || next === "<";
      case "{":
        return lineStart;
      case "`":
        return lineStart && "```".startsWith(text.slice(at, at + 3));
      default: {
        if (!lineStart) return false;
        const rest = text.slice(at, at + 24);
        const short = at + rest.length >= text.length;
        return LINE_WORDS.test(rest) || this.#beginsName(rest, short) || (short && LINE_WORD_BEGINS.test(rest));
      }
    }
  }

  #beginsName(rest: string, short: boolean): boolean {
    if (!this.#vocabulary.initials.includes(rest.charAt(0))) return false;
    return this.#vocabulary.tools.some(({ name }) => {
      return [`${name}(`, `${name}[ARGS]`, `${name}{`, `${name}\n{`].some((whole) => {
        const head = whole.slice(0, rest.length);
        return rest.startsWith(head) || (short && head.startsWith(rest));
      });
    });
  }

  /** Goes on to the end of a line in a code block, or of the block. */
  #pastFenced(text: string, from: number): number {
    let at = from;
    if (this.#blank) {
      if (this.#ticks === 0) at = skipSpace(text, at);
      while (text[at] === "`" && this.#ticks < 3) {
        at++;
        this.#ticks++;
      }
      if (this.#ticks === 3) {
        this.#fenced = false;
        this.#blank = false;
        this.#ticks = 0;
        return at;
      }
      if (at >= text.length) return at;
      this.#ticks = 0;
    }
    const end = text.indexOf("\n", at);
    this.#blank = end >= 0;
    return end < 0 ? text.length : end + 1;
  }
}
