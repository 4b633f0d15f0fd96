/** Reads an engine's answer that is no 200. Its status and headers say most of it already: its body is waited for, but not long. */
import type { GatewayError } from "../conversation/errors.ts";
import { type EngineErrorContext, engineError } from "./engine-error.ts";
import type { ResponseHeaders } from "./http1/response-head.ts";

/** Most bytes that are read of the body. */
const LONGEST_BODY = 64 * 1024;
/** Most milliseconds that are spent on it. */
const LONGEST_WAIT_MS = 5_000;

export class Refusal {
  readonly #status: number;
  readonly #headers: ResponseHeaders;
  /** latin1: a read may end inside a character. */
  #body = "";
  #timer: NodeJS.Timeout | undefined;
  #onRead: ((refusal: Refusal) => void) | undefined;

  /** `onRead` is called once, when all is read that will be: by the body's end, its size or the time. */
  constructor(status: number, headers: ResponseHeaders, onRead: (refusal: Refusal) => void) {
    this.#status = status;
    this.#headers = headers;
    this.#onRead = onRead;
    this.#timer = setTimeout(() => this.end(), LONGEST_WAIT_MS).unref();
  }

  push(bytes: Buffer): void {
    if (this.#onRead === undefined) return;
    this.#body += bytes.toString("latin1");
    if (this.#body.length >= LONGEST_BODY) this.end();
  }

  /** No more will come: the body is complete, or its connection broke. */
  end(): void {
    const onRead = this.#onRead;
    this.#onRead = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    onRead?.(this);
  }

  /** What the engine said, as far as it was read. */
  error(context: EngineErrorContext): GatewayError {
    const text = Buffer.from(this.#body.slice(0, LONGEST_BODY), "latin1").toString("utf8");
    return engineError(this.#status, this.#headers, text, context);
  }
}
