/** The sockets to the engines: undici's pools, with the one thing added that they do not tell: was a socket used before. */
import { Agent, Client, type Dispatcher, Pool } from "undici";

export type PoolOptions = {
  /** Certificates to trust besides the system's, PEM. */
  ca?: string | undefined;
  /** Longest attempt to connect, milliseconds, whatever a single call allows. */
  connectMs: number;
};

/** A handler that wants to know on which sort of socket its request goes out. */
export interface SocketAware extends Dispatcher.DispatchHandler {
  socket: SocketUse | undefined;
}

/** Requests that the present connection has carried, this one not included until it is sent. */
export type SocketUse = { carried: number };

/** A connection that counts the requests it has carried since it was made. */
class CountingClient extends Client {
  readonly #use: SocketUse = { carried: 0 };

  constructor(origin: URL, options: Client.Options) {
    super(origin, options);
    this.on("connect", () => (this.#use.carried = 0));
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if ("socket" in handler) (handler as SocketAware).socket = this.#use;
    return super.dispatch(options, handler);
  }
}

/**
 * As many sockets an engine as there are requests in flight, one request at a time on each. HTTP/1.1 only: on HTTP/2 all
 * streams of an engine would share one connection, its flow control and its fate.
 */
export function createPools(options: PoolOptions): { kept: Agent; fresh: Agent } {
  const common = {
    allowH2: false,
    connect: { timeout: options.connectMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    // Limits are the calls' own: they differ by call and count the first body byte, not the head.
    headersTimeout: 0,
    bodyTimeout: 0,
    factory: (origin: string | URL, poolOptions: object) =>
      new Pool(origin, {
        ...poolOptions,
        factory: (url: URL, clientOptions: object) => new CountingClient(url, clientOptions),
      }),
  };
  return {
    // uvicorn, cpp-httplib and Node servers all close idle connections after 5 s: be the first to let go.
    kept: new Agent({ ...common, keepAliveTimeout: 4_000, keepAliveMaxTimeout: 60_000 }),
    // Never reuses a connection: for the second try after one that turned out to be closed.
    fresh: new Agent({ ...common, pipelining: 0 }),
  };
}
