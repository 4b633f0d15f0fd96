/** Reads what a client is still sending, for nobody: before that it does not read, and would meet a closed connection in place of its answer. */
import type { IncomingMessage } from "node:http";

/** How long, in milliseconds, and how many bytes: eight times the largest body that is accepted unless configured otherwise. */
const MOST_MS = 10_000;
const MOST_BYTES = 256 * 1024 * 1024;

/** Resolves when the body has ended, the client has left, or enough was read; undefined where nothing is to come. */
export function discardBody(req: IncomingMessage): Promise<void> | undefined {
  if (req.complete || req.destroyed || !hasBody(req)) return undefined;
  return new Promise((resolve) => {
    let bytes = 0;
    const count = (chunk: Buffer): void => {
      if ((bytes += chunk.length) > MOST_BYTES) done();
    };
    const done = (): void => {
      clearTimeout(timer);
      req.off("data", count);
      resolve();
    };
    const timer = setTimeout(done, MOST_MS);
    // The second comes after the end, and also when the client leaves.
    for (const event of ["end", "close", "error"]) req.once(event, done);
    req.on("data", count);
    req.resume();
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
