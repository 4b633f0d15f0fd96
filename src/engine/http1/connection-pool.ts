/** The connections to one origin: as many as there are requests in flight, one request at a time on each, kept for a while after. */
import { type Socket, connect as connectTcp, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { Connection, type ConnectionUser, type OpenSocket } from "./connection.ts";
import type { RequestText } from "./request-text.ts";
import { ResponseFault } from "./response-fault.ts";

export type PoolOptions = {
  /** Certificates to trust besides the system's, PEM. */
  ca?: string | undefined;
  /** Longest attempt to connect, milliseconds, whatever a single call allows. */
  connectMs: number;
};

export type ConnectionPool = {
  /** The `Host` header. */
  readonly host: string;
  /** `fresh`: on a new connection, whatever there is. Fails through `user.onFailed`, never at once. */
  send(request: RequestText, user: ConnectionUser, options?: { fresh: boolean }): Connection | undefined;
  /** Cuts all of them. Requests fail from now on. */
  close(): void;
};

/** uvicorn, cpp-httplib and Node servers all close idle connections after 5 s: be the first to let go. */
const KEEP_MS = 4_000;
const MOST_KEEP_MS = 60_000;
const SWEEP_MS = 500;
const TCP_KEEP_ALIVE_MS = 60_000;

/**
 * What plain connections read into, all of them: a read is worked on before the next one begins. A buffer each would cost an allocation
 * of this size for every chunk of every stream.
 */
const shared = Buffer.allocUnsafeSlow(64 * 1024);

/** `origin`: scheme, host and port, as URL has it. */
export function createConnectionPool(origin: string, { ca, connectMs }: PoolOptions): ConnectionPool {
  const url = new URL(origin);
  const open = url.protocol === "https:" ? tlsOpener(url, ca) : tcpOpener(url);
  const all = new Set<Connection>();
  /** The one freed last is used first, so that those which are too many grow old. */
  const idle: Connection[] = [];
  let sweeper: NodeJS.Timeout | undefined;
  let closed = false;

  const sweep = (): void => {
    const now = performance.now();
    for (const connection of idle.filter((each) => each.idleUntil <= now)) connection.destroy();
    if (idle.length > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  };

  const owner = {
    onFree(connection: Connection, keepMs: number = KEEP_MS) {
      connection.idleUntil = performance.now() + Math.min(keepMs, MOST_KEEP_MS);
      idle.push(connection);
      sweeper ??= setInterval(sweep, SWEEP_MS).unref();
    },
    onGone(connection: Connection) {
      all.delete(connection);
      const index = idle.indexOf(connection);
      if (index >= 0) idle.splice(index, 1);
    },
  };

  const kept = (): Connection | undefined => {
    const now = performance.now();
    for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
      if (found.idleUntil > now) return found;
      found.destroy();
    }
    return undefined;
  };

  return {
    host: url.host,
    send(request, user, { fresh } = { fresh: false }) {
      if (closed) {
        queueMicrotask(() => user.onFailed(new ResponseFault("closed")));
        return undefined;
      }
      let connection = fresh ? undefined : kept();
      if (connection === undefined) {
        connection = new Connection(open, connectMs, owner);
        all.add(connection);
      }
      connection.send(request, user);
      return connection;
    },
    close() {
      closed = true;
      clearInterval(sweeper);
      for (const connection of all) connection.cut();
    },
  };
}

function tcpOpener(url: URL): OpenSocket {
  const { host, port } = addressOf(url, 80);
  return ({ onOpen, onRead }) =>
    connectTcp(
      {
        host,
        port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
        onread: {
          buffer: shared,
          callback(size) {
            onRead(shared.subarray(0, size));
            return true;
          },
        },
      },
      onOpen,
    );
}

function tlsOpener(url: URL, ca: string | undefined): OpenSocket {
  const { host, port } = addressOf(url, 443);
  let session: Buffer | undefined;
  return ({ onOpen, onRead }): Socket => {
    const socket = connectTls(
      {
        host,
        port,
        ALPNProtocols: ["http/1.1"],
        ...(isIP(host) === 0 && { servername: host }),
        ...(ca !== undefined && { ca }),
        ...(session !== undefined && { session }),
      },
      onOpen,
    );
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    // Resumed, the next connection's handshake costs a fraction.
    socket.on("session", (fresh) => (session = fresh));
    socket.on("error", () => (session = undefined));
    socket.on("data", onRead);
    return socket;
  };
}

function addressOf(url: URL, defaultPort: number): { host: string; port: number } {
  const { hostname, port } = url;
  return {
    host: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    port: port === "" ? defaultPort : Number(port),
  };
}
