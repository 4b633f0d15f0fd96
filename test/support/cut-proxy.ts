/** A TCP proxy that can be cut and mended: how a database goes away and comes back without touching the database. */
import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";

export type CutProxy = {
  /** The target's URL, through the proxy. */
  url: string;
  /** Breaks every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Lets connections stand but passes nothing on: a network that drops packets. */
  freeze(): void;
  mend(): Promise<void>;
  close(): Promise<void>;
};

export async function cutProxy(target: string): Promise<CutProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let frozen = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    keep(near);
    const far = connect(Number(port), hostname);
    keep(far);
    near.on("data", (bytes) => frozen || far.write(bytes));
    far.on("data", (bytes) => frozen || near.write(bytes));
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  const listen = async (at: number): Promise<number> => {
    server.listen(at, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const cut = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const own = await listen(0);
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String(own);
  return {
    url: url.href,
    cut,
    freeze: () => void (frozen = true),
    async mend() {
      frozen = false;
      if (!server.listening) await listen(own);
    },
    async close() {
      if (server.listening) await cut();
    },
  };
}
