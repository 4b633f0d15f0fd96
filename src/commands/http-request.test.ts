import { once } from "node:events";
import { type RequestListener, type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { request } from "./http-request.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(answer: RequestListener): Promise<string> {
  server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("request", () => {
  it("sends headers and body, and gives status and text", async () => {
    const url = await serve((incoming, answer) => {
      answer.statusCode = 418;
      answer.write(`${incoming.method} ${incoming.url} ${String(incoming.headers["x-a"])} `);
      incoming.pipe(answer);
    });
    const sent = { method: "POST", headers: { "x-a": "1" }, body: "grüße" } as const;
    expect(await request(`${url}/p?q=1`, sent)).toEqual({ status: 418, text: "POST /p?q=1 1 grüße" });
  });

  it("does not follow a redirect", async () => {
    const url = await serve((_incoming, answer) => answer.writeHead(302, { location: "/elsewhere" }).end());
    expect(await request(url, { method: "GET" })).toEqual({ status: 302, text: "" });
  });

  it.each<[string, RequestListener]>([
    ["never begins", () => {}],
    ["never ends", (_incoming, answer) => void answer.write("{")],
  ])("gives up on an answer that %s", async (_what, answer) => {
    const url = await serve(answer);
    await expect(request(url, { method: "GET", timeoutMs: 200 })).rejects.toThrow("no answer within 0.2 s");
  });

  it("rejects when the answer breaks off, and when nobody is there", async () => {
    const url = await serve((_incoming, answer) => void answer.write("{", () => answer.destroy()));
    await expect(request(url, { method: "GET", timeoutMs: 10_000 })).rejects.toThrow(/aborted|hang up|terminated/);
    await new Promise((resolve) => server?.close(resolve));
    await expect(request(url, { method: "GET" })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
