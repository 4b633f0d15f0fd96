/** Takes the gateway's port, and says what is wrong when it cannot be had. */
import { type AddressInfo, type Server, createServer } from "node:net";
import { CliError } from "./cli-error.ts";

export type ListenAddress = { host: string; port: number };

/** The URL at which clients on this machine reach it. Throws CliError. */
export async function listen(server: Server, address: ListenAddress): Promise<string> {
  await bind(server, address);
  const { port } = server.address() as AddressInfo;
  return `http://${reachable(address.host)}:${port}`;
}

/**
 * Throws CliError as `listen` would now: for whoever wants to know before they do what takes long. The port is free again after it, so
 * somebody else may still be faster.
 */
export async function assertCanListen(address: ListenAddress): Promise<void> {
  const trial = createServer();
  await bind(trial, address);
  await new Promise((resolve) => trial.close(resolve));
}

function bind(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(new CliError(problem(error, host, port), 1, error));
    server.once("error", fail);
    server.listen(port, host, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

function problem(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `port ${port} on ${host} is in use; stop what runs there, or choose another with --port`;
    case "EACCES":
      return `may not listen on port ${port}; choose one above 1023 with --port`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `${host} is not an address of this machine; choose one with --host`;
    default:
      return `cannot listen on ${host}:${port} (${error.code ?? error.message})`;
  }
}

/** As a client on this machine reaches what listens on all addresses. */
function reachable(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
