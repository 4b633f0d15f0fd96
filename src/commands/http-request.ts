/**
 * Sends one HTTP request and reads the whole answer. Not fetch: that one gives up after five minutes without a byte, whatever it is told,
 * and to check a large ledger takes longer.
 */
import { type RequestOptions, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { text } from "node:stream/consumers";

export type HttpRequest = {
  method: "GET" | "POST";
  headers?: Record<string, string>;
  body?: string;
  /** For the answer as a whole; as long as it takes, if there is none. */
  timeoutMs?: number | undefined;
  /** Ends it before its answer, with an AbortError. */
  signal?: AbortSignal | undefined;
};

/** Without a limit, only the operating system finds out that the other side is gone: it asks after so long a silence. */
const KEEP_ALIVE_MS = 10_000;

/** Redirects are not followed: the headers hold a key. Rejects when there is no whole answer. */
export async function request(url: string, sent: HttpRequest): Promise<{ status: number; text: string }> {
  const { method, headers = {}, body = "", timeoutMs, signal } = sent;
  const options: RequestOptions = { method, headers, agent: false, ...(signal && { signal }) };
  const outgoing = url.startsWith("https:") ? tlsRequest(url, options) : plainRequest(url, options);
  outgoing.setSocketKeepAlive(true, KEEP_ALIVE_MS);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      if (timeoutMs !== undefined) {
        timer = setTimeout(() => {
          reject(new Error(`no answer within ${timeoutMs / 1_000} s`));
          outgoing.destroy();
        }, timeoutMs);
      }
      outgoing.on("error", reject);
      outgoing.once("response", (answer) => {
        text(answer).then((read) => resolve({ status: answer.statusCode ?? 0, text: read }), reject);
      });
      outgoing.end(body);
    });
  } finally {
    clearTimeout(timer);
  }
}
