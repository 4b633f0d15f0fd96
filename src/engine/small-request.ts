/** Small exchanges with an engine (probes, tokenizer): the whole answer, bounded in time and size. */
import { GatewayError } from "../conversation/errors.ts";
import type { ResponseHeaders } from "./http1/response-head.ts";
import type { EngineTimeouts, UpstreamCall, UpstreamHandlers } from "./upstream.ts";

export type SmallRequest = {
  method: "GET" | "POST";
  path: string;
  /** JSON text. */
  body?: string;
  requestId?: string;
  /** For the whole exchange, milliseconds. */
  timeoutMs?: number;
  /** Largest body taken; a larger one is `engine_failed`. */
  maxBytes?: number;
};

export type SmallAnswer = { status: number; headers: ResponseHeaders; text: string };

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

/** Runs one exchange; `start` sends it with the handlers and limits that it is given. */
export function smallRequest(
  start: (handlers: UpstreamHandlers, timeouts: EngineTimeouts) => UpstreamCall,
  { timeoutMs = DEFAULT_TIMEOUT_MS, maxBytes = DEFAULT_MAX_BYTES }: { timeoutMs?: number; maxBytes?: number },
): Promise<SmallAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<SmallAnswer>();
  const parts: Buffer[] = [];
  let size = 0;
  let status = 0;
  let headers: ResponseHeaders = {};
  const call = start(
    {
      onHead(s, h) {
        status = s;
        headers = h;
      },
      onData(bytes) {
        size += bytes.length;
        parts.push(Buffer.from(bytes));
        if (size <= maxBytes) return;
        call.abort();
        reject(new GatewayError("engine_failed", `the engine answered with more than ${maxBytes} bytes`));
      },
      onEnd: () => resolve({ status, headers, text: Buffer.concat(parts, size).toString("utf8") }),
      onError: reject,
    },
    { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs },
  );
  return promise;
}
