import { once } from "node:events";
import { type AddressInfo, type Server, createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import { openStore } from "./open-store.ts";

let server: Server | undefined;
afterEach(() => void server?.close());

it("says what to do when the database has no TLS and the URL asks for it", async () => {
  // Postgres' answer to the request for TLS when it has none.
  server = createServer((socket) => socket.once("data", () => socket.end("N"))).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const databaseUrl = `postgres://u:secret-word@127.0.0.1:${port}/x?sslmode=verify-full`;
  await expect(openStore({ dataDir: "/nowhere", databaseUrl })).rejects.toMatchObject({
    name: "StoreError",
    code: "refused",
    message: `the database at postgres://127.0.0.1:${port}/x has no TLS, which the URL asks for; turn it on there (ssl = on), or give the URL without sslmode`,
  });
});
