/** Knows what a response's head says: its status, its headers, and where its body ends (RFC 9112, 6.3). */
import { ResponseFault } from "./response-fault.ts";

/** Names in lower case; a list where a name came more than once. */
export type ResponseHeaders = Record<string, string | string[] | undefined>;

export type Head = { status: number; minor: 0 | 1; headers: ResponseHeaders };

export type Framing = {
  body: "none" | "length" | "chunked" | "until-close";
  /** Of the body in bytes, where `body` is `length`; else 0. */
  length: number;
  /** How long the server keeps the connection, in milliseconds; 0: it closes it; undefined: it does not say. */
  keepMs: number | undefined;
};

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\0\r\n]/;
/** 15 digits are surely below 2^53. */
const LENGTH = /^\d{1,15}$/;
/** A server that says so closes a little earlier than a client that believes it comes back. */
const KEEP_MARGIN_MS = 1_000;

/** Heads that an engine says again and again, by their text: it differs at most in its date, once a second. */
const known = new Map<string, Readonly<Head & { framing: Framing }>>();
const MOST_KNOWN = 64;
const LONGEST_KNOWN = 2_048;

/** As parseHead and framingOf. What it gives is shared: not to be changed. */
export function readHead(text: string): Readonly<Head & { framing: Framing }> {
  let found = known.get(text);
  if (found !== undefined) return found;
  const head = parseHead(text);
  found = { ...head, framing: framingOf(head) };
  if (text.length > LONGEST_KNOWN) return found;
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(text, found);
  return found;
}

/** `text`: the head without the empty line that ends it, latin1. Throws ResponseFault. */
export function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split("\r\n");
  const match = STATUS_LINE.exec(first);
  if (match === null || FORBIDDEN.test(first)) throw new ResponseFault("malformed", "the status line");
  const headers = Object.create(null) as ResponseHeaders;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    // A line that begins with a space continues the one before it in HTTP of long ago; nobody sends that, but smugglers.
    if (!NAME.test(name) || FORBIDDEN.test(line)) throw new ResponseFault("malformed", "a header");
    add(headers, name.toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(match[2]), minor: match[1] === "1" ? 1 : 0, headers };
}

function add(headers: ResponseHeaders, name: string, value: string): void {
  const before = headers[name];
  headers[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
}

/** Throws ResponseFault where two readers of the head could see the body end at different places. */
export function framingOf({ status, minor, headers }: Head): Framing {
  const encoding = all(headers["transfer-encoding"]);
  const lengths = all(headers["content-length"]);
  const keepMs = keepTime(minor, headers);
  if (encoding.length > 0) {
    if (encoding.join().toLowerCase() !== "chunked")
      throw new ResponseFault("malformed", "an unknown transfer-encoding");
    // With a length beside it, or from HTTP/1.0, it is what it says, but the connection is not to be trusted any further.
    const odd = lengths.length > 0 || minor === 0;
    if (status === 204 || status === 304) return { body: "none", length: 0, keepMs: 0 };
    return { body: "chunked", length: 0, keepMs: odd ? 0 : keepMs };
  }
  const [length] = lengths;
  if (length !== undefined && (!LENGTH.test(length) || lengths.some((other) => other !== length)))
    throw new ResponseFault("malformed", "the content-length");
  if (status === 204 || status === 304 || length === "0") return { body: "none", length: 0, keepMs };
  if (length === undefined) return { body: "until-close", length: 0, keepMs: 0 };
  const size = Number(length);
  return size === 0 ? { body: "none", length: 0, keepMs } : { body: "length", length: size, keepMs };
}

function keepTime(minor: 0 | 1, headers: ResponseHeaders): number | undefined {
  const connection = all(headers["connection"]).join().toLowerCase();
  if (connection.includes("close") || (minor === 0 && !connection.includes("keep-alive"))) return 0;
  const seconds = /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(all(headers["keep-alive"]).join())?.[1];
  return seconds === undefined ? undefined : Math.max(0, Number(seconds) * 1_000 - KEEP_MARGIN_MS);
}

function all(value: string | string[] | undefined): readonly string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
