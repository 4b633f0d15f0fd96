/**
 * The client's side of an exchange: whole answers and streams over node:http, with backpressure. The only file that
 * writes to a client's socket.
 *
 * Streams write their chunk frames to the socket themselves: a `res.write` a chunk costs about 12 µs more. A pipelined
 * request has no socket of its own yet and takes the ordinary way. See decisions/0060-raw-stream-writes.md.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ByteText } from "../conversation/byte-text.ts";
import { discardBody } from "./discard-body.ts";

/** Bytes waiting for a slow client above which the engine is paused. */
const PAUSE_ABOVE = 256 * 1024;

/**
 * How long a client has for the error before the connection is cut. Cut in the same instant, `fetch` throws away what it
 * has not handed on yet: both official SDKs then report "terminated" (20 of 20) instead of our words. They leave by
 * themselves once they have read the error. See decisions/0035-openai-stream-errors.md.
 */
const LAST_WORDS_MS = 250;

/**
 * How long, in milliseconds, an ended answer waits for a client that takes nothing more of it: one that was stopped, or whose
 * machine sleeps, keeps its connection and never leaves.
 */
const AFTER_END_MS = 30_000;

export type ReplyHeaders = Record<string, string>;

export class Reply {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #canFrame: boolean;
  readonly #stallMs: number;
  #begun = false;
  #ended = false;

  /**
   * `onGone` is called once if the client leaves before the answer is complete, `onClosed` when nothing more happens here. A client that takes
   * nothing for `stallMs` of a stream that waits for it has left.
   */
  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    onGone: () => void,
    onClosed: () => void = () => {},
    stallMs = AFTER_END_MS,
  ) {
    this.#req = req;
    this.#res = res;
    this.#stallMs = stallMs;
    this.#canFrame = req.httpVersionMajor === 1 && req.httpVersionMinor >= 1;
    res.once("close", () => {
      if (!this.#ended) {
        this.#ended = true;
        onGone();
      }
      onClosed();
    });
  }

  /** Whether anything has been sent. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Whether nothing more can be sent: answered, broken off, or the client left. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Begins a stream: status and headers leave at once, so that the client knows it was heard. */
  begin(headers: ReplyHeaders): void {
    this.#begun = true;
    const socket = this.#res.socket;
    socket?.cork();
    this.#res.writeHead(200, this.#canFrame ? { ...headers, "transfer-encoding": "chunked" } : headers);
    this.#res.flushHeaders();
    // The first events usually follow in the same tick: one system call takes both.
    if (socket !== null) process.nextTick(() => socket.uncork());
  }

  /** Writes stream bytes. False asks to pause the engine until `onDrain`. */
  write(bytes: ByteText): boolean {
    if (this.#ended || bytes === "") return true;
    const socket = this.#res.socket;
    if (socket === null || !this.#canFrame) return this.#res.write(bytes, "latin1");
    socket.write(`${bytes.length.toString(16)}\r\n${bytes}\r\n`, "latin1");
    return socket.writableLength < PAUSE_ABOVE;
  }

  /** Calls back once when a slow client has taken what was waiting. */
  onDrain(callback: () => void): void {
    const { socket } = this.#res;
    if (socket === null) {
      this.#res.once("drain", callback);
      return;
    }
    cutUnlessTaken(socket, this.#stallMs);
    socket.once("drain", () => {
      if (!this.#ended) socket.setTimeout(0);
      callback();
    });
  }

  /** Ends a stream with its last bytes. */
  end(bytes: ByteText): void {
    if (this.#ended) return;
    const socket = this.#res.socket;
    socket?.cork();
    this.write(bytes);
    this.#ended = true;
    this.#res.end();
    socket?.uncork();
    this.#letGo();
  }

  /** Sends a whole answer, a refusal only once the client has sent what was refused unread. */
  send(status: number, headers: ReplyHeaders, body: ByteText): void {
    if (this.#ended) return;
    this.#begun = true;
    this.#ended = true;
    const write = (): void => {
      this.#res.writeHead(status, { ...headers, "content-length": String(body.length) });
      this.#res.end(body, "latin1");
      this.#letGo();
    };
    const discarding = discardBody(this.#req);
    if (discarding === undefined) write();
    else void discarding.then(write);
  }

  /** Breaks a stream off after its last bytes, so that no client can take its end for a finish. */
  breakOff(bytes: ByteText): void {
    if (this.#ended) return;
    const socket = this.#res.socket;
    this.write(bytes);
    this.#ended = true;
    this.#letGo();
    // No terminating chunk is ever sent; `destroySoon` lets the bytes before it out.
    const cut = (): unknown => (socket === null ? this.#res.destroy() : socket.destroySoon());
    setTimeout(cut, LAST_WORDS_MS).unref();
  }

  /** What waits at the end waits for a while. Most answers are out by now, and cost nothing more. */
  #letGo(): void {
    const { socket } = this.#res;
    if (socket !== null && socket.writableLength > 0) cutUnlessTaken(socket, Math.min(AFTER_END_MS, this.#stallMs));
  }
}

/**
 * Has node:http close the connection once nothing of what waits was taken for `ms`; at most for twice as long. Node looks at what the
 * system has not taken yet, and so sees a slow client go on with one large write, of which `writableLength` says nothing before its
 * end. Its keep-alive takes the place of this limit once the answer is out.
 */
function cutUnlessTaken(socket: Socket, ms: number): void {
  socket.setTimeout(ms);
}
