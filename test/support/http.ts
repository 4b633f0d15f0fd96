/** HTTP without the conveniences that hide what a gateway really sends: node:http, raw bodies, streams as they come. */
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from "node:http";

export type Answer = { status: number; headers: IncomingHttpHeaders; text: string };

export type Sent = {
  method?: string;
  headers?: Record<string, string>;
  /** An object is sent as JSON. */
  body?: object | string | Buffer;
};

/** Sends a request and reads the whole answer. Rejects when the connection breaks before the answer's end. */
export async function send(url: string, sent: Sent): Promise<Answer> {
  const { response } = await open(url, sent);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString("utf8") };
}

/** Sends a request and gives the answer as soon as its head is there. `request.destroy()` is a client that leaves. */
export async function open(url: string, sent: Sent): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  const request = start(url, sent);
  return new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("response", (response) => resolve({ request, response }));
  });
}

/** Sends a request; the answer is for the caller to wait for, or not. */
export function start(url: string, { method = "POST", headers = {}, body }: Sent): ClientRequest {
  const isRaw = typeof body === "string" || Buffer.isBuffer(body) || body === undefined;
  const payload = isRaw ? (body ?? "") : JSON.stringify(body);
  const length = Buffer.byteLength(payload);
  const request = httpRequest(url, {
    method,
    agent: false,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
      ...(length > 0 && { "content-length": String(length) }),
    },
  });
  request.end(payload);
  return request;
}
