import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { fetchGatewayFacts, readGatewayFacts } from "./gateway-facts.ts";

const BODY = {
  models: [{ id: "m", context_window: 131_072, max_output: null }],
  families: { opus: "m", sonnet: "m", haiku: "m", default: "m" },
};

const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((cleanup) => cleanup()));

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answer = (status: number, body: string) => serve((_request, response) => response.writeHead(status).end(body));

describe("fetchGatewayFacts", () => {
  it("asks with the key and gives what the gateway says", async () => {
    const url = await serve((request, response) => {
      const right = request.url === "/v1/evener/launch" && request.headers.authorization === "Bearer sk-1";
      response.writeHead(right ? 200 : 401).end(JSON.stringify(BODY));
    });
    await expect(fetchGatewayFacts(url, "sk-1")).resolves.toEqual(BODY);
    await expect(fetchGatewayFacts(`${url}/`, "sk-1")).resolves.toEqual(BODY);
    await expect(fetchGatewayFacts(url, "sk-2")).rejects.toThrow(/does not accept the key/);
  });

  it("says what is wrong in one line", async () => {
    await expect(fetchGatewayFacts(await answer(200, "<html>"), "k")).rejects.toThrow(/is not an Evener gateway/);
    await expect(fetchGatewayFacts(await answer(404, "{}"), "k")).rejects.toThrow(/is not an Evener gateway/);
    await expect(fetchGatewayFacts(await answer(500, "{}"), "k")).rejects.toThrow(/answered 500/);
    const none = JSON.stringify({ models: [], families: { opus: null, sonnet: null, haiku: null, default: null } });
    await expect(fetchGatewayFacts(await answer(200, none), "k")).rejects.toThrow(/serves no model yet/);
    const closed = createServer();
    await once(closed.listen(0, "127.0.0.1"), "listening");
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    await expect(fetchGatewayFacts(`http://127.0.0.1:${port}`, "k")).rejects.toThrow(
      `no gateway answers at http://127.0.0.1:${port}: connection refused; start one`,
    );
  });
});

describe("readGatewayFacts", () => {
  it.each([
    ["a model without an id", { ...BODY, models: [{ context_window: 1, max_output: null }] }],
    ["a window of zero", { ...BODY, models: [{ id: "m", context_window: 0, max_output: null }] }],
    ["a window as text", { ...BODY, models: [{ id: "m", context_window: "131072", max_output: null }] }],
    ["no families", { models: BODY.models }],
    ["a family without a model", { ...BODY, families: { ...BODY.families, opus: null } }],
    ["a list", [BODY]],
  ])("refuses %s", (_, body) => {
    expect(readGatewayFacts(JSON.stringify(body))).toBeUndefined();
  });
});
