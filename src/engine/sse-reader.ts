/**
 * Splits a stream of server-sent events into the data of its events, on bytes carried in latin1 strings. Stricter than
 * the standard where that matters here: a line that is no field of the format is reported, not dropped, since an engine
 * that sends one is not speaking its protocol. See decisions/0041-own-sse-reader.md.
 */

export type SseHandlers = {
  /** The data of one event; `name` is its `event:` field, empty when there was none. */
  onEvent(data: string, name: string): void;
  /** A line that is not of the format, without its end. */
  onJunk(line: string): void;
  /** An event or line longer than the limit; nothing is read after it. */
  onTooLong(): void;
};

const COLON = 58;
const SPACE = 32;

export class SseReader {
  readonly #handlers: SseHandlers;
  readonly #limit: number;
  /** The beginning of a line whose end has not come; concatenation makes a rope, flattened once when it does. */
  #partial = "";
  #data: string | undefined;
  #name = "";
  #first = true;
  #afterCr = false;
  #stopped = false;

  /** `limit`: the longest event, in bytes. */
  constructor(handlers: SseHandlers, limit: number) {
    this.#handlers = handlers;
    this.#limit = limit;
  }

  /** Whether what comes next begins an event. */
  get between(): boolean {
    return (
      this.#partial === "" &&
      this.#data === undefined &&
      this.#name === "" &&
      !this.#first &&
      !this.#afterCr &&
      !this.#stopped
    );
  }

  /** Takes any piece of the stream. */
  push(bytes: string): void {
    if (this.#stopped) return;
    const text = this.#afterCr || bytes.includes("\r") ? this.#withoutCr(bytes) : bytes;
    let start = 0;
    let end = text.indexOf("\n");
    if (end >= 0 && this.#partial !== "") {
      const line = this.#partial + text.slice(0, end);
      this.#partial = "";
      this.#line(line, 0, line.length);
      start = end + 1;
      end = text.indexOf("\n", start);
    }
    while (end >= 0) {
      if (this.#stopped) return;
      this.#line(text, start, end);
      start = end + 1;
      end = text.indexOf("\n", start);
    }
    if (start < text.length) this.#partial += start === 0 ? text : text.slice(start);
    if (this.#partial.length + (this.#data?.length ?? 0) > this.#limit) this.#tooLong();
  }

  /** The stream has ended: what stands unfinished is read as if its line and event had ended too. */
  end(): void {
    if (!this.#stopped && this.#partial !== "") this.#line(this.#partial, 0, this.#partial.length);
    this.#partial = "";
    if (!this.#stopped) this.#dispatch();
    this.#stopped = true;
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#stopped = true;
    this.#partial = "";
    this.#data = undefined;
  }

  #line(text: string, from: number, end: number): void {
    let start = from;
    if (this.#first) {
      this.#first = false;
      if (text.startsWith("\u00ef\u00bb\u00bf", start)) start += 3;
    }
    if (start === end) this.#dispatch();
    else if (text.startsWith("data:", start)) this.#addData(value(text, start + 5, end));
    else if (text.charCodeAt(start) === COLON) return;
    else if (text.startsWith("event:", start)) this.#name = value(text, start + 6, end);
    else if (!text.startsWith("id:", start) && !text.startsWith("retry:", start))
      this.#handlers.onJunk(text.slice(start, end));
  }

  #addData(data: string): void {
    this.#data = this.#data === undefined ? data : `${this.#data}\n${data}`;
    if (this.#data.length > this.#limit) this.#tooLong();
  }

  #dispatch(): void {
    const data = this.#data;
    const name = this.#name;
    this.#data = undefined;
    this.#name = "";
    if (data !== undefined) this.#handlers.onEvent(data, name);
  }

  #tooLong(): void {
    this.stop();
    this.#handlers.onTooLong();
  }

  /** Turns every line end (CR, CRLF, LF) into LF, also where a CRLF is cut between two reads. */
  #withoutCr(bytes: string): string {
    if (bytes === "") return bytes;
    const text = this.#afterCr && bytes.startsWith("\n") ? bytes.slice(1) : bytes;
    this.#afterCr = bytes.endsWith("\r");
    return text.replace(/\r\n?/g, "\n");
  }
}

/** A field's value: one space behind the colon is not part of it. */
function value(text: string, start: number, end: number): string {
  return text.slice(text.charCodeAt(start) === SPACE ? start + 1 : start, end);
}
