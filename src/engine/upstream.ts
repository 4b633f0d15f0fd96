/** The HTTP client to the engines, as the gateway sees it: callbacks for streams, promises for small answers. */
import type { GatewayError } from "../conversation/errors.ts";
import { createPools } from "./connection-pool.ts";
import { DeadlineTicker } from "./deadline-ticker.ts";
import { type EngineAddress, engineBase } from "./engine-address.ts";
import { EngineCall } from "./engine-call.ts";
import { type SmallAnswer, type SmallRequest, smallRequest } from "./small-request.ts";

/** Milliseconds; 0 is no limit. Time in which the caller has paused the stream counts only towards the total. */
export type EngineTimeouts = {
  /** Until the connection stands. */
  readonly connectMs: number;
  /** From sending the request to the first byte of the answer's body: queueing in the engine and prefill. */
  readonly firstByteMs: number;
  /** Between two reads of the body. */
  readonly idleMs: number;
  /** From start to end. */
  readonly totalMs: number;
};

/** A million tokens at 1,000 tokens a second are 17 minutes of prefill, before any queueing in the engine. */
export const DEFAULT_ENGINE_TIMEOUTS: EngineTimeouts = {
  connectMs: 10_000,
  firstByteMs: 3_600_000,
  idleMs: 1_200_000,
  totalMs: 21_600_000,
};

export type ResponseHeaders = Record<string, string | string[] | undefined>;

/** Exactly one of `onEnd` and `onError` is called, last; after `abort()` nothing is called at all. */
export type UpstreamHandlers = {
  onHead(status: number, headers: ResponseHeaders): void;
  /** The buffer is the handler's to keep. */
  onData(bytes: Buffer): void;
  onEnd(): void;
  /** `engine_unreachable`, `engine_cut`, `engine_timeout` or `engine_failed`; `internal` when a handler threw. */
  onError(error: GatewayError): void;
};

export type UpstreamCall = {
  /** Closes the connection, which stops the engine's work; valid at any time, more than once. */
  abort(): void;
  /** Stops reading, so that the engine is held back by TCP. */
  pause(): void;
  resume(): void;
};

export type UpstreamOptions = {
  /** Certificates to trust besides the system's, PEM. */
  ca?: string;
  /** Longest attempt to connect, for every call. */
  connectMs?: number;
};

export interface Upstream {
  /** Sends a JSON body and streams the answer. Throws only for an address that is no URL. */
  post(
    engine: EngineAddress,
    path: string,
    body: string,
    handlers: UpstreamHandlers,
    options: { requestId: string; timeouts: EngineTimeouts },
  ): UpstreamCall;
  /** Sends a request whose answer is small and wanted whole. Rejects with a `GatewayError`; any HTTP status resolves. */
  request(engine: EngineAddress, request: SmallRequest): Promise<SmallAnswer>;
  get(engine: EngineAddress, path: string, limits?: { timeoutMs?: number; maxBytes?: number }): Promise<SmallAnswer>;
  /** Cuts every connection; calls that run end with an error. */
  close(): Promise<void>;
}

export function createUpstream(options: UpstreamOptions = {}): Upstream {
  const pools = createPools({
    ca: options.ca,
    connectMs: options.connectMs ?? DEFAULT_ENGINE_TIMEOUTS.connectMs,
  });
  const ticker = new DeadlineTicker();

  function start(
    engine: EngineAddress,
    request: { method: "GET" | "POST"; path: string; body?: string | undefined; requestId?: string | undefined },
    handlers: UpstreamHandlers,
    timeouts: EngineTimeouts,
  ): UpstreamCall {
    const base = engineBase(engine.url);
    const headers = ["accept", "*/*", "user-agent", "evener"];
    if (request.body !== undefined) headers.push("content-type", "application/json");
    if (engine.apiKey !== undefined) headers.push("authorization", `Bearer ${engine.apiKey}`);
    if (request.requestId !== undefined) headers.push("x-request-id", request.requestId);
    const dispatch = {
      origin: base.origin,
      path: base.prefix + request.path,
      method: request.method,
      headers,
      body: request.body ?? null,
    };
    return new EngineCall(pools, ticker, dispatch, handlers, timeouts);
  }

  const request = (engine: EngineAddress, small: SmallRequest): Promise<SmallAnswer> =>
    smallRequest((handlers, timeouts) => start(engine, small, handlers, timeouts), small);

  return {
    post: (engine, path, body, handlers, { requestId, timeouts }) =>
      start(engine, { method: "POST", path, body, requestId }, handlers, timeouts),
    request,
    get: (engine, path, limits) => request(engine, { method: "GET", path, ...limits }),
    close: async () => {
      await Promise.all([pools.kept.destroy(), pools.fresh.destroy()]);
    },
  };
}
