/** A port that listens and takes no connection, as one of a host that is frozen: its backlog is full and nobody accepts. */
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { Worker } from "node:worker_threads";

/** Listens, says where, and then never runs again. */
const FROZEN = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });`;

/** Longer than a connection on loopback takes that is taken at all. */
const PENDING_MS = 500;
const MOST = 20;

export type FullBacklog = { url: string; close(): Promise<void> };

export async function fullBacklog(): Promise<FullBacklog> {
  const worker = new Worker(FROZEN, { eval: true });
  const [port] = (await once(worker, "message")) as [number];
  const sockets: Socket[] = [];
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  };
  for (let count = 0; count < MOST; count++) {
    const socket = connect(port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {});
    const connected = await Promise.race([
      once(socket, "connect").then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, PENDING_MS, false)),
    ]);
    if (!connected) return { url: `http://127.0.0.1:${port}`, close };
  }
  await close();
  throw new Error(`the port still takes connections after ${MOST} of them`);
}
