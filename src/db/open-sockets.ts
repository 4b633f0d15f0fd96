/** Keeps count of the sockets that a pool has open: pg's own `end` resolves before they are closed. */
import type { Duplex } from "node:stream";

export type OpenSockets = {
  /** Counts the socket in until it has closed. */
  track<S extends Duplex>(socket: S): S;
  /** Resolves when all that are open now have closed; those that have not after `ms` are cut, if that is given. */
  closed(ms?: number): Promise<void>;
};

export function openSockets(): OpenSockets {
  const open = new Set<Duplex>();
  return {
    track(socket) {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      return socket;
    },
    async closed(ms) {
      const sockets = [...open];
      const cut = (): void => {
        for (const socket of sockets) socket.destroy();
      };
      const timer = ms === undefined ? undefined : setTimeout(cut, ms);
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve))));
      clearTimeout(timer);
    },
  };
}
