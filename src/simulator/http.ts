/** HTTP answers as uvicorn gives them: which headers, in which order; and bodies of events without Node's overhead. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Live } from "./live.ts";
import type { RecordedRequest } from "./record.ts";

export type Exchange = {
  req: IncomingMessage;
  res: ServerResponse;
  record: RecordedRequest;
  /** The client's `x-request-id`, or a new one. */
  requestId: string;
  /** Whether to say it in the answer. */
  tellsRequestId: boolean;
};

/** How uvicorn orders them: what is said of the transfer comes last. */
function headers(exchange: Exchange, extra: readonly [name: string, value: string][], chunked: boolean): string[] {
  const list: [string, string][] = [
    ["date", new Date().toUTCString()],
    ["server", "uvicorn"],
    ...extra,
    ["vary", "Origin"],
  ];
  if (exchange.tellsRequestId) list.push(["x-request-id", exchange.requestId]);
  if (chunked) list.push(["transfer-encoding", "chunked"]);
  return list.flat();
}

function writeHead(exchange: Exchange, status: number, extra: readonly [string, string][], chunked = false): void {
  const { res, record } = exchange;
  record.status = status;
  res.sendDate = false;
  res.removeHeader("connection");
  res.writeHead(status, headers(exchange, extra, chunked));
}

/** A whole answer. Without a type there is no body. */
export function send(
  exchange: Exchange,
  status: number,
  body: string | Buffer,
  type?: string,
  more: Readonly<Record<string, string>> = {},
): void {
  const extra: [string, string][] = [...Object.entries(more), ["content-length", String(Buffer.byteLength(body))]];
  if (type !== undefined) extra.push(["content-type", type]);
  writeHead(exchange, status, extra);
  exchange.res.end(exchange.req.method === "HEAD" ? undefined : body);
}

/** A head that promises more than the few bytes that follow, and then the connection is gone. */
export function sendTorn(exchange: Exchange, body: string, tear: () => void): void {
  writeHead(exchange, 200, [
    ["content-length", String(Buffer.byteLength(body))],
    ["content-type", "application/json"],
  ]);
  exchange.res.write(body.slice(0, body.length / 2), tear);
}

/** A stream of events. Each is one HTTP chunk, as from uvicorn; several may share a write. */
export type EventStream = {
  /** Adds a latin1 string that holds bytes. */
  add(event: string): void;
  /** Writes what was added. False when the client left while its buffers were full. */
  flush(live: Live): Promise<boolean>;
  /** Ends the body properly. */
  end(): void;
};

export function openStream(exchange: Exchange): EventStream {
  const { res } = exchange;
  writeHead(exchange, 200, [["content-type", "text/event-stream; charset=utf-8"]], true);
  res.flushHeaders();
  // Events go past the response object, which would write size, body and end of each chunk apart. Only when the client
  // pipelines does the socket still belong to an earlier answer; then Node has to keep the order.
  const socket = res.socket;
  let pending = "";
  return {
    add(event) {
      if (socket) pending += `${event.length.toString(16)}\r\n${event}\r\n`;
      else res.write(event, "latin1");
    },
    async flush(live) {
      if (!socket || pending === "") return live.ended === undefined;
      const room = socket.write(pending, "latin1");
      pending = "";
      if (room || live.ended !== undefined) return live.ended === undefined;
      return live.wait((done) => {
        socket.once("drain", done);
        return () => socket.off("drain", done);
      });
    },
    end() {
      if (pending !== "") socket?.write(pending, "latin1");
      res.end();
    },
  };
}
