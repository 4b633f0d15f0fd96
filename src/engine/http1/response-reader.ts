/**
 * Reads HTTP/1.1 responses off a connection, one at a time, however the bytes are split (RFC 9112). What it does not know it refuses:
 * an engine that frames its answers in a way of its own cannot be told from one that cut them.
 *
 * Chunks that came in one read are handed on as one piece: engines send every event in a chunk of its own.
 */
import { type Framing, readHead, type ResponseHeaders } from "./response-head.ts";
import { ResponseFault } from "./response-fault.ts";

export type ResponseEvents = {
  /** Not called for 1xx. */
  onHead(status: number, headers: ResponseHeaders): void;
  /** Only valid during the call. */
  onBody(bytes: Buffer): void;
  /** `keepMs`: how long the server keeps the connection; 0 for not at all, undefined where it did not say. */
  onEnd(keepMs: number | undefined): void;
};

/** Bytes of a head, and of all trailers. What engines send is below 1 KB. */
const MOST_HEAD = 64 * 1024;
const MOST_EXTENSION = 4_096;
/** Hexadecimal digits of a size that is surely below 2^53. */
const MOST_DIGITS = 13;
const HEAD_END = Buffer.from("\r\n\r\n");
const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const SPACE = 32;
const TAB = 9;

type State =
  | "none"
  | "head"
  | "length"
  | "size"
  | "extension"
  | "size-lf"
  | "chunk"
  | "chunk-cr"
  | "chunk-lf"
  | "trailer"
  | "rest";

export class ResponseReader {
  readonly #events: ResponseEvents;
  #state: State = "none";
  #head: Buffer | undefined;
  /** Bytes that the body or chunk still has; digits, or characters, of what is read now. */
  #left = 0;
  #count = 0;
  #lineLength = 0;
  #keepMs: number | undefined;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** A request has been sent: its response is next. */
  expect(): void {
    this.#state = "head";
  }

  /** Takes what was read; may write into it. Throws ResponseFault, and whatever the events throw. */
  push(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      switch (this.#state) {
        case "none":
          throw new ResponseFault("malformed", "bytes without a request");
        case "head":
          rest = this.#readHead(rest);
          break;
        case "length":
          rest = this.#readLength(rest);
          break;
        case "rest":
          this.#events.onBody(rest);
          return;
        default:
          rest = this.#readChunks(rest);
      }
    }
  }

  /** The server has closed. False: in the middle of a response. */
  close(): boolean {
    if (this.#state === "rest") this.#end(0);
    return this.#state === "none";
  }

  #readHead(bytes: Buffer): Buffer {
    const seen = this.#head === undefined ? bytes : Buffer.concat([this.#head, bytes]);
    const end = seen.indexOf(HEAD_END);
    // What ends its lines otherwise may never come to an end that is one here: it is not waited for.
    if (end < 0 && hasBareLf(seen, seen.length - bytes.length))
      throw new ResponseFault("malformed", "a bare line feed");
    if ((end < 0 ? seen.length : end) > MOST_HEAD) throw new ResponseFault("head-too-large");
    if (end < 0) {
      // A copy: the bytes are only ours during the call.
      this.#head = seen === bytes ? Buffer.from(bytes) : seen;
      // What cannot become a head need not be waited for.
      if (!"HTTP/1.".startsWith(seen.toString("latin1", 0, 7))) throw new ResponseFault("malformed");
      return seen.subarray(seen.length);
    }
    this.#head = undefined;
    const head = readHead(seen.toString("latin1", 0, end));
    const rest = seen.subarray(end + HEAD_END.length);
    if (head.status < 200) {
      if (head.status === 101) throw new ResponseFault("malformed", "another protocol");
      return rest;
    }
    const { framing } = head;
    this.#keepMs = framing.keepMs;
    this.#begin(framing);
    this.#events.onHead(head.status, head.headers);
    if (framing.body === "none") this.#finish(rest.length);
    return rest;
  }

  #begin({ body, length }: Framing): void {
    this.#left = length;
    this.#count = 0;
    this.#lineLength = 0;
    this.#state = body === "chunked" ? "size" : body === "until-close" ? "rest" : "length";
  }

  #readLength(bytes: Buffer): Buffer {
    const piece = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    this.#left -= piece.length;
    const rest = bytes.subarray(piece.length);
    this.#events.onBody(piece);
    if (this.#left === 0) this.#finish(rest.length);
    return rest;
  }

  /** Takes the framing off, moves the chunks together, and hands them on as one piece. */
  #readChunks(bytes: Buffer): Buffer {
    let from = -1;
    let to = 0;
    let at = 0;
    let ended = false;
    while (at < bytes.length && !ended) {
      if (this.#state === "chunk") {
        const end = Math.min(bytes.length, at + this.#left);
        if (from < 0) {
          from = at;
          to = end;
        } else {
          bytes.copyWithin(to, at, end);
          to += end - at;
        }
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = "chunk-cr";
      } else ended = this.#readFraming(bytes[at++]!);
    }
    if (from >= 0) this.#events.onBody(bytes.subarray(from, to));
    const rest = bytes.subarray(at);
    if (ended) this.#finish(rest.length);
    return rest;
  }

  /** One byte of what stands between chunks; true when it ends the body. */
  #readFraming(byte: number): boolean {
    switch (this.#state) {
      case "size": {
        const digit = hexadecimal(byte);
        if (digit >= 0) {
          if (++this.#count > MOST_DIGITS) throw new ResponseFault("malformed", "a chunk's size");
          this.#left = this.#left * 16 + digit;
        } else if (this.#count === 0) throw new ResponseFault("malformed", "a chunk's size");
        else if (byte === CR) this.#state = "size-lf";
        else if (byte === SEMICOLON || byte === SPACE || byte === TAB) this.#state = "extension";
        else throw new ResponseFault("malformed", "a chunk's size");
        return false;
      }
      case "extension":
        if (byte === CR) this.#state = "size-lf";
        else if (byte === LF || ++this.#lineLength > MOST_EXTENSION)
          throw new ResponseFault("malformed", "a chunk's extension");
        return false;
      case "size-lf":
        this.#need(byte, LF);
        this.#state = this.#left === 0 ? "trailer" : "chunk";
        this.#count = 0;
        this.#lineLength = 0;
        return false;
      case "chunk-cr":
        this.#need(byte, CR);
        this.#state = "chunk-lf";
        return false;
      case "chunk-lf":
        this.#need(byte, LF);
        this.#state = "size";
        return false;
      default:
        return this.#readTrailer(byte);
    }
  }

  /** Trailers are passed over, line by line, until the empty one. */
  #readTrailer(byte: number): boolean {
    if (++this.#count > MOST_HEAD) throw new ResponseFault("head-too-large");
    if (byte === LF) {
      if (this.#lineLength === 0) return true;
      this.#lineLength = 0;
    } else if (byte !== CR) this.#lineLength++;
    return false;
  }

  #need(byte: number, wanted: number): void {
    if (byte !== wanted) throw new ResponseFault("malformed", "the end of a chunk");
  }

  /** `more`: bytes behind the response, which nobody asked for: such a connection is not used again. */
  #finish(more: number): void {
    this.#end(more > 0 ? 0 : this.#keepMs);
  }

  #end(keepMs: number | undefined): void {
    this.#state = "none";
    this.#events.onEnd(keepMs);
  }
}

/** Whether a line feed without its carriage return stands at `from` or behind. */
function hasBareLf(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) if (bytes[at - 1] !== CR) return true;
  return false;
}

function hexadecimal(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
