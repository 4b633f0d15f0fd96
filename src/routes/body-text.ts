/** Reads the body of an administrator's request, as far as one may be long. */
import { GatewayError } from "../conversation/errors.ts";

const MOST_BODY_BYTES = 64 * 1024;

/**
 * Throws GatewayError `body_too_large`, and `invalid_request` for a body that breaks off. Not hono's `bodyLimit`: where no length was
 * declared (also: nothing is sent at all) it makes a new Request of the one at hand, which the one of `@hono/node-server` does not allow.
 */
export async function bodyText(request: Pick<Request, "headers" | "body">): Promise<string> {
  if (Number(request.headers.get("content-length")) > MOST_BODY_BYTES) throw tooLarge();
  const reader = request.body?.getReader();
  if (reader === undefined) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new GatewayError("invalid_request", "the request's body ended early", { cause });
    });
    if (done) return new TextDecoder().decode(Buffer.concat(chunks, size));
    // Not cancelled: that would close the connection in front of the answer. server.ts reads the rest, for nobody.
    if ((size += value.length) > MOST_BODY_BYTES) throw tooLarge();
    chunks.push(value);
  }
}

function tooLarge(): GatewayError {
  return new GatewayError("body_too_large", `the body is larger than ${MOST_BODY_BYTES} bytes`);
}
