/** The HTTP client to the engines, as the gateway sees it: callbacks for streams, promises for small answers. */
import type { GatewayError } from "../conversation/errors.ts";
import { DeadlineTicker } from "./deadline-ticker.ts";
import { type EngineAddress, engineBase } from "./engine-address.ts";
import { EngineCall } from "./engine-call.ts";
import { type ConnectionPool, createConnectionPool } from "./http1/connection-pool.ts";
import { requestText } from "./http1/request-text.ts";
import type { ResponseHeaders } from "./http1/response-head.ts";
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

/** Exactly one of `onEnd` and `onError` is called, last; after `abort()` nothing is called at all. */
export type UpstreamHandlers = {
  onHead(status: number, headers: ResponseHeaders): void;
  /** The buffer is only valid during the call: who keeps bytes copies them. */
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
  /** All that is wanted has come. Reads on, if paused, so that the connection can be used again; cuts it when the answer's end stays away. */
  expectEnd(): void;
};

export type UpstreamOptions = {
  /** Certificates to trust besides the system's, PEM. */
  ca?: string;
  /** Longest attempt to connect, for every call. */
  connectMs?: number;
};

export interface Upstream {
  /** Sends a JSON body and streams the answer. Throws only for an address that is no URL, or an API key that no header can carry. */
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
  const { ca, connectMs = DEFAULT_ENGINE_TIMEOUTS.connectMs } = options;
  const pools = new Map<string, ConnectionPool>();
  const ticker = new DeadlineTicker();
  let closed = false;

  function poolOf(origin: string): ConnectionPool {
    let pool = pools.get(origin);
    if (pool === undefined) {
      pool = createConnectionPool(origin, { ca, connectMs });
      pools.set(origin, pool);
      if (closed) pool.close();
    }
    return pool;
  }

  function start(
    engine: EngineAddress,
    request: { method: "GET" | "POST"; path: string; body?: string | undefined; requestId?: string | undefined },
    handlers: UpstreamHandlers,
    timeouts: EngineTimeouts,
  ): UpstreamCall {
    const base = engineBase(engine.url);
    const pool = poolOf(base.origin);
    const text = requestText({
      method: request.method,
      path: base.prefix + request.path,
      host: pool.host,
      apiKey: engine.apiKey,
      requestId: request.requestId,
      body: request.body,
    });
    return new EngineCall(pool, ticker, text, handlers, timeouts);
  }

  const request = (engine: EngineAddress, small: SmallRequest): Promise<SmallAnswer> =>
    smallRequest((handlers, timeouts) => start(engine, small, handlers, timeouts), small);

  return {
    post: (engine, path, body, handlers, { requestId, timeouts }) =>
      start(engine, { method: "POST", path, body, requestId }, handlers, timeouts),
    request,
    get: (engine, path, limits) => request(engine, { method: "GET", path, ...limits }),
    close: () => {
      closed = true;
      for (const pool of pools.values()) pool.close();
      return Promise.resolve();
    },
  };
}
