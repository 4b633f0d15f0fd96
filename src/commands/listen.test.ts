import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { assertCanListen, listen } from "./listen.ts";

const open: ReturnType<typeof createServer>[] = [];
function server() {
  const made = createServer();
  open.push(made);
  return made;
}
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function takenPort(): Promise<number> {
  const other = server().listen(0, "127.0.0.1");
  await once(other, "listening");
  return (other.address() as AddressInfo).port;
}

describe("the gateway's port", () => {
  it("is told as clients on this machine reach it", async () => {
    expect(await listen(server(), { host: "127.0.0.1", port: 0 })).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await listen(server(), { host: "0.0.0.0", port: 0 })).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it("is refused in the same words by the look ahead and by the attempt", async () => {
    const address = { host: "127.0.0.1", port: await takenPort() };
    const message = `port ${address.port} on 127.0.0.1 is in use; stop what runs there, or choose another with --port`;
    await expect(assertCanListen(address)).rejects.toThrow(message);
    await expect(listen(server(), address)).rejects.toThrow(message);
    await expect(assertCanListen({ host: "192.0.2.1", port: 0 })).rejects.toThrow(
      "192.0.2.1 is not an address of this machine; choose one with --host",
    );
  });

  it("is free after the look ahead", async () => {
    const port = await takenPort();
    await new Promise((resolve) => open.pop()!.close(resolve));
    await assertCanListen({ host: "127.0.0.1", port });
    expect(await listen(server(), { host: "127.0.0.1", port })).toBe(`http://127.0.0.1:${port}`);
  });
});
