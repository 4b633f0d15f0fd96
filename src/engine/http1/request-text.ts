/** Knows how a request is written: its head and body as one text, so that both leave in one piece. */

export type RequestParts = {
  method: "GET" | "POST";
  /** Encoded, as URL gives it. */
  path: string;
  host: string;
  apiKey?: string | undefined;
  requestId?: string | undefined;
  /** JSON. */
  body?: string | undefined;
};

/** As `encoding` it becomes the bytes to send. */
export type RequestText = { text: string; encoding: "latin1" | "utf8" };

/** Throws a plain Error for an API key that no header can carry. */
export function requestText({ method, path, host, apiKey, requestId, body }: RequestParts): RequestText {
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\naccept: */*\r\nuser-agent: evener\r\n`;
  if (apiKey !== undefined) head += `authorization: Bearer ${visible(apiKey)}\r\n`;
  if (requestId !== undefined) head += `x-request-id: ${visible(requestId)}\r\n`;
  if (body === undefined) return { text: `${head}\r\n`, encoding: "latin1" };
  const length = Buffer.byteLength(body);
  return {
    text: `${head}content-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`,
    // Bytes as many as characters are ASCII, which latin1 copies as it stands.
    encoding: length === body.length ? "latin1" : "utf8",
  };
}

/** Anything else could end the header, and begin one of its own. */
function visible(value: string): string {
  if (/[^\x20-\x7e]/.test(value)) throw new Error("an engine's API key holds characters that a header cannot carry");
  return value;
}
