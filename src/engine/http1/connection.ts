/** One connection to an engine: carries one request at a time, and tells its user what becomes of it. */
import type { Socket } from "node:net";
import type { RequestText } from "./request-text.ts";
import { ResponseFault } from "./response-fault.ts";
import type { ResponseHeaders } from "./response-head.ts";
import { ResponseReader } from "./response-reader.ts";

/** Who has a request on the connection. After `onEnd` or `onFailed` nothing more is called. */
export type ConnectionUser = {
  /** The request goes out; `carried`: how many others this connection has carried before. */
  onSent(carried: number): void;
  onHead(status: number, headers: ResponseHeaders): void;
  /** Only valid during the call. */
  onData(bytes: Buffer): void;
  onEnd(): void;
  /** A ResponseFault, an error of the socket, or what one of these callbacks threw. */
  onFailed(error: Error): void;
};

export type ConnectionOwner = {
  /** It may carry another request; `keepMs` as in ResponseEvents. */
  onFree(connection: Connection, keepMs: number | undefined): void;
  /** It is closed, or about to be. */
  onGone(connection: Connection): void;
};

/** Opens a socket that hands what it reads to `onRead`; `onOpen` when it stands, TLS included. */
export type OpenSocket = (handlers: { onOpen: () => void; onRead: (bytes: Buffer) => void }) => Socket;

export class Connection {
  /** Until when it may be used again, `performance.now()`; the owner's. */
  idleUntil = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #reader: ResponseReader;
  #connecting: NodeJS.Timeout | undefined;
  #user: ConnectionUser | undefined;
  /** Waits for the connection to stand. */
  #request: RequestText | undefined;
  #carried = 0;

  /** `connectMs`: longest attempt to connect. */
  constructor(open: OpenSocket, connectMs: number, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#reader = new ResponseReader({
      onHead: (status, headers) => this.#user?.onHead(status, headers),
      onBody: (bytes) => this.#user?.onData(bytes),
      onEnd: (keepMs) => this.#ended(keepMs),
    });
    const socket = open({ onOpen: () => this.#opened(), onRead: (bytes) => this.#read(bytes) });
    this.#socket = socket;
    this.#connecting = setTimeout(() => {
      this.#fail(Object.assign(new Error("connecting took too long"), { code: "ETIMEDOUT" }));
    }, connectMs);
    socket.on("error", (error) => this.#fail(error));
    socket.on("end", () => this.#closed());
    socket.on("close", () => this.#closed());
  }

  /** Sends a request: its head and body, whole. */
  send(request: RequestText, user: ConnectionUser): void {
    this.#user = user;
    this.#request = request;
    if (this.#connecting === undefined) this.#write();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Cuts it; nobody is told. */
  destroy(): void {
    this.#user = undefined;
    this.#fail(new ResponseFault("closed"));
  }

  /** Cuts it, and tells its user. */
  cut(): void {
    this.#fail(new ResponseFault("closed"));
  }

  #opened(): void {
    clearTimeout(this.#connecting);
    this.#connecting = undefined;
    if (this.#request !== undefined) this.#write();
  }

  #write(): void {
    const request = this.#request!;
    this.#request = undefined;
    this.#reader.expect();
    this.#user?.onSent(this.#carried++);
    // Its user may have given up by now.
    if (!this.#socket.destroyed) this.#socket.write(request.text, request.encoding);
  }

  #read(bytes: Buffer): void {
    if (this.#socket.destroyed) return;
    try {
      this.#reader.push(bytes);
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #ended(keepMs: number | undefined): void {
    const user = this.#user;
    this.#user = undefined;
    // An answer that came before its request was sent whole leaves half a request on the connection.
    const whole = this.#socket.writableLength === 0;
    if (keepMs === 0 || !whole || this.#socket.destroyed) this.#fail(new ResponseFault("closed"));
    else {
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#owner.onFree(this, keepMs);
    }
    user?.onEnd();
  }

  #closed(): void {
    if (!this.#reader.close() || this.#user !== undefined) this.#fail(new ResponseFault("closed"));
    else this.#fail();
  }

  #fail(error?: Error): void {
    clearTimeout(this.#connecting);
    this.#connecting = undefined;
    const user = this.#user;
    this.#user = undefined;
    this.#socket.destroy();
    this.#owner.onGone(this);
    if (error !== undefined) user?.onFailed(error);
  }
}
