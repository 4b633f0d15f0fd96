/** A proxy on loopback that connects nobody: it remembers where its clients wanted to go, and refuses. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type RecordingProxy = {
  /** What to set HTTP_PROXY and HTTPS_PROXY to. */
  readonly url: string;
  /** `host:port` of tunnels asked for, URLs of plain requests. */
  readonly asked: readonly string[];
  close(): Promise<void>;
};

export async function startRecordingProxy(): Promise<RecordingProxy> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(502).end();
  });
  server.on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
