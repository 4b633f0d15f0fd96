/** Ends what runs on a connection by asking the server on another one: the one it runs on is busy until it ends. */
import { type Socket, connect } from "node:net";
import type { PoolClient } from "pg";

/** How long the server has to end it before the connection is cut. */
const CUT_MS = 3_000;

/** Of CancelRequest, in place of a protocol version (PostgreSQL, Frontend/Backend Protocol, Message Formats). */
const CANCEL_REQUEST = 80_877_102;

/** What pg's client has beside its types. */
type Backend = { host: string; port: number; processID: number; secretKey: number; connection: { stream: Socket } };

/**
 * Asks the server to end the statement, which then rejects. It may come too late and hit a later one: the connection must not be used again. Where the
 * server does not hear of it (behind something that only lets TLS through) the connection is cut, and a server that looks ends what ran on it.
 */
export function cancelStatement(client: PoolClient): void {
  const { host, port, processID, secretKey, connection } = client as unknown as Backend;
  const { stream } = connection;
  const message = Buffer.alloc(16);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(CANCEL_REQUEST, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  // To where this connection went, of several servers that a name may have. In the clear, as libpq did it: the key is good for this alone.
  const asking = host.startsWith("/")
    ? connect(`${host}/.s.PGSQL.${port}`)
    : connect(stream.remotePort ?? port, stream.remoteAddress ?? host);
  asking.on("error", () => {}).setTimeout(CUT_MS, () => asking.destroy());
  asking.resume().end(message);
  const cut = setTimeout(() => stream.destroy(), CUT_MS);
  stream.once("close", () => clearTimeout(cut));
}
