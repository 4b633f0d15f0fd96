/** Reads a request body, up to a limit. */
import type { IncomingMessage } from "node:http";
import { GatewayError } from "../conversation/errors.ts";

/**
 * The body as text. Throws `body_too_large` when the limit is passed (declared or real), `invalid_request` for a
 * compressed body (no known client sends one) and for one that ends before its declared length. What it then leaves unread
 * is the reply's to discard.
 */
export function readBody(req: IncomingMessage, limitBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const encoding = req.headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      reject(
        new GatewayError(
          "invalid_request",
          `bodies with content-encoding ${encoding} are not accepted; send it uncompressed`,
        ),
      );
      return;
    }
    if (Number(req.headers["content-length"]) > limitBytes) {
      reject(tooLarge(limitBytes));
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    req.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > limitBytes) {
        req.removeAllListeners("data");
        req.removeAllListeners("end");
        reject(tooLarge(limitBytes));
      } else chunks.push(chunk);
    });
    req.on("end", () => {
      const only = chunks[0];
      resolve((chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size)).toString("utf8"));
    });
    req.on("error", (cause) =>
      reject(new GatewayError("invalid_request", "the request's body ended early", { cause })),
    );
  });
}

function tooLarge(limitBytes: number): GatewayError {
  return new GatewayError(
    "body_too_large",
    `the body is larger than the ${limitBytes} bytes that this gateway accepts (limits.body_bytes)`,
  );
}
