import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import type { GatewayError } from "../conversation/errors.ts";
import {
  createUpstream,
  DEFAULT_ENGINE_TIMEOUTS,
  type EngineTimeouts,
  type Upstream,
  type UpstreamOptions,
} from "./upstream.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function upstream(options?: UpstreamOptions): Upstream {
  const made = createUpstream(options);
  cleanups.push(() => made.close());
  return made;
}

async function listen(server: Server | TcpServer): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const engine = (handle: (req: IncomingMessage, res: ServerResponse) => void) => listen(createServer(handle));

type Seen = {
  status?: number;
  body: string;
  end?: "end" | GatewayError;
  ends: number;
  done: Promise<void>;
  call: ReturnType<Upstream["post"]>;
  firstData: Promise<void>;
};

function post(
  up: Upstream,
  url: string,
  options: { timeouts?: Partial<EngineTimeouts>; apiKey?: string; path?: string } = {},
): Seen {
  const done = Promise.withResolvers<void>();
  const firstData = Promise.withResolvers<void>();
  const seen: Seen = { body: "", ends: 0, done: done.promise, firstData: firstData.promise, call: undefined as never };
  const finish = (how: "end" | GatewayError) => {
    seen.end = how;
    seen.ends++;
    done.resolve();
  };
  seen.call = up.post(
    { url, apiKey: options.apiKey },
    options.path ?? "/v1/chat/completions",
    `{"text":"ü"}`,
    {
      onHead: (status) => (seen.status = status),
      onData(bytes) {
        seen.body += bytes.toString("latin1");
        firstData.resolve();
      },
      onEnd: () => finish("end"),
      onError: finish,
    },
    { requestId: "req_1", timeouts: { ...DEFAULT_ENGINE_TIMEOUTS, ...options.timeouts } },
  );
  return seen;
}

const code = (seen: Seen) => (seen.end === "end" ? "end" : seen.end?.code);

describe("upstream", () => {
  it("posts JSON with the key and request id, and streams the answer", async () => {
    let got: { body: string; req: IncomingMessage } | undefined;
    const url = await engine((req, res) => {
      let body = "";
      req.setEncoding("utf8").on("data", (part: string) => (body += part));
      req.on("end", () => {
        got = { body, req };
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.write("one ");
        res.end("two");
      });
    });
    const seen = post(upstream(), `${url}/`, { apiKey: "secret" });
    await seen.done;
    expect(seen).toMatchObject({ status: 200, body: "one two", end: "end", ends: 1 });
    expect(got?.body).toBe(`{"text":"ü"}`);
    expect(got?.req.headers).toMatchObject({
      authorization: "Bearer secret",
      "content-type": "application/json",
      "content-length": "13",
      "x-request-id": "req_1",
    });
  });

  it.each([
    ["", "/v1/chat/completions"],
    ["/", "/v1/chat/completions"],
    ["/v1", "/v1/chat/completions"],
    ["/v1/", "/v1/chat/completions"],
    ["/engines/a/v1", "/engines/a/v1/chat/completions"],
  ])("takes a base URL that ends in %j", async (suffix, path) => {
    let asked: string | undefined;
    const url = await engine((req, res) => {
      asked = req.url;
      res.end();
    });
    await post(upstream(), url + suffix).done;
    expect(asked).toBe(path);
  });

  it("opens as many connections as there are requests in flight, and keeps them", async () => {
    const connections = new Set<number | undefined>();
    let waiting: ServerResponse[] = [];
    const url = await engine((req, res) => {
      connections.add(req.socket.remotePort);
      waiting.push(res);
      if (waiting.length < 20) return;
      for (const response of waiting) response.end("x");
      waiting = [];
    });
    const up = upstream();
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 20 }, () => post(up, url));
      await Promise.all(all.map((seen) => seen.done));
      expect(all.map(code)).toEqual(Array(20).fill("end"));
      // A connection is free for the next request one turn after its answer has ended.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(connections.size).toBe(20);
  });

  it("says engine_unreachable when nothing listens, and when the name does not resolve", async () => {
    const server = createTcpServer();
    const url = await listen(server);
    server.close();
    const up = upstream();
    const refused = post(up, url);
    const unknown = post(up, "http://no-such-host.invalid:8000");
    await Promise.all([refused.done, unknown.done]);
    expect([code(refused), code(unknown)]).toEqual(["engine_unreachable", "engine_unreachable"]);
    expect((refused.end as GatewayError).message).toBe("the engine refused the connection");
    expect((unknown.end as GatewayError).message).not.toContain("no-such-host");
  });

  it("says engine_unreachable for a close before the head, without trying again on a new connection", async () => {
    let connections = 0;
    const url = await listen(
      createTcpServer((socket) => {
        connections++;
        socket.once("data", () => socket.destroy());
      }),
    );
    const seen = post(upstream(), url);
    await seen.done;
    expect([code(seen), seen.ends, connections]).toEqual(["engine_unreachable", 1, 1]);
  });

  it.each(["fin", "reset"])("says engine_cut for a %s after the head", async (how) => {
    const url = await engine((_req, res) => {
      res.writeHead(200);
      res.write("half");
      setTimeout(() => (how === "fin" ? res.socket?.end() : res.socket?.resetAndDestroy()), 20);
    });
    const seen = post(upstream(), url);
    await seen.done;
    expect(seen).toMatchObject({ status: 200, body: "half", ends: 1 });
    expect(code(seen)).toBe("engine_cut");
  });

  it("says engine_failed for an answer that is not HTTP", async () => {
    const url = await listen(createTcpServer((socket) => socket.once("data", () => socket.end("SSH-2.0-x\r\n\r\n"))));
    const seen = post(upstream(), url);
    await seen.done;
    expect(code(seen)).toBe("engine_failed");
  });

  it.each([
    ["firstByteMs", "before the head", (res: ServerResponse) => void res],
    ["firstByteMs", "after the head", (res: ServerResponse) => res.flushHeaders()],
    ["idleMs", "in the body", (res: ServerResponse) => res.write("x")],
    ["totalMs", "in a body that keeps coming", (res: ServerResponse) => drip(res)],
  ])("says engine_timeout by %s %s, and closes the connection", async (limit, _where, answer) => {
    const closed = Promise.withResolvers<void>();
    const url = await engine((req, res) => {
      req.resume();
      res.on("close", closed.resolve);
      answer(res);
    });
    const seen = post(upstream(), url, { timeouts: { [limit]: 120 } });
    await seen.done;
    await closed.promise;
    expect([code(seen), seen.ends]).toEqual(["engine_timeout", 1]);
    expect((seen.end as GatewayError).message).toContain("120 ms");
  });

  it("lets a slow stream run that never falls silent for long", async () => {
    const url = await engine((_req, res) => {
      drip(res, 8);
    });
    const seen = post(upstream(), url, { timeouts: { idleMs: 150, firstByteMs: 150 } });
    await seen.done;
    expect(seen).toMatchObject({ end: "end", body: "........" });
  });

  it.each(["before the connection", "before the head", "mid-stream"])(
    "closes the engine's connection on abort %s, and calls nothing more",
    async (when) => {
      const closed = Promise.withResolvers<void>();
      const arrived = Promise.withResolvers<void>();
      const url = await engine((_req, res) => {
        arrived.resolve();
        res.on("close", closed.resolve);
        if (when === "mid-stream") drip(res);
      });
      const seen = post(upstream(), url);
      if (when === "mid-stream") await seen.firstData;
      if (when === "before the head") await arrived.promise;
      const before = seen.body;
      seen.call.abort();
      seen.call.abort();
      if (when !== "before the connection") await closed.promise;
      await new Promise((resolve) => setTimeout(resolve, 60));
      expect(seen.ends).toBe(0);
      expect(seen.body).toBe(before);
    },
  );

  it("holds the engine back while paused, however long, and goes on after", async () => {
    let written = 0;
    const url = await engine((_req, res) => {
      const block = Buffer.alloc(64 * 1024, "x");
      const pump = () => {
        while (written < 64 * 1024 * 1024) {
          written += block.length;
          if (!res.write(block)) {
            res.once("drain", pump);
            return;
          }
        }
        res.end();
      };
      pump();
    });
    const seen = post(upstream(), url, { timeouts: { idleMs: 100 } });
    await seen.firstData;
    seen.call.pause();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const held = written;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(written).toBe(held);
    expect(held).toBeLessThan(32 * 1024 * 1024);
    seen.call.resume();
    await seen.done;
    expect(seen.end).toBe("end");
    expect(seen.body.length).toBe(written);
  });

  it("cuts an engine that does not end an answer of which everything has come, paused or not", async () => {
    const gone = Promise.withResolvers<void>();
    const url = await engine((req, res) => {
      req.socket.once("close", () => gone.resolve());
      drip(res);
    });
    const seen = post(upstream(), url);
    await seen.firstData;
    seen.call.pause();
    seen.call.expectEnd();
    await gone.promise;
    await seen.done;
    expect(code(seen)).toBe("engine_timeout");
  });

  it("reads a paused answer to its end when that is expected", async () => {
    const { promise: paused, resolve: go } = Promise.withResolvers<void>();
    const url = await engine((_req, res) => {
      res.write("all");
      void paused.then(() => res.end());
    });
    const seen = post(upstream(), url);
    await seen.firstData;
    seen.call.pause();
    seen.call.expectEnd();
    go();
    await seen.done;
    expect(code(seen)).toBe("end");
  });

  it("sends a request again, once, when a kept connection was being closed", async () => {
    let connections = 0;
    let requests = 0;
    // Answers one request a connection, and cuts the connection the moment that a second one comes in on it.
    const url = await listen(
      createTcpServer((socket) => {
        connections++;
        let carried = 0;
        socket.on("data", (bytes) => {
          if (!bytes.includes("POST")) return;
          if (++carried > 1) {
            socket.resetAndDestroy();
            return;
          }
          requests++;
          socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        });
      }),
    );
    const up = upstream();
    const first = post(up, url);
    await first.done;
    const second = post(up, url);
    await second.done;
    expect([code(first), code(second), second.body]).toEqual(["end", "end", "ok"]);
    expect([connections, requests, second.ends]).toEqual([2, 2, 1]);
  });

  it("does not send again what an engine may have been working on", async () => {
    let requests = 0;
    const url = await engine((req, res) => {
      requests++;
      if (requests === 1) res.end("ok");
      else setTimeout(() => req.socket.destroy(), 1_100);
    });
    const up = upstream();
    await post(up, url).done;
    const second = post(up, url);
    await second.done;
    expect([code(second), requests]).toEqual(["engine_unreachable", 2]);
  });

  it("reports its own fault as internal when a handler throws", async () => {
    const url = await engine((_req, res) => res.end("x"));
    const { promise, resolve } = Promise.withResolvers<GatewayError>();
    const fail = () => {
      throw new Error("secret detail");
    };
    upstream().post(
      { url },
      "/x",
      "{}",
      { onHead() {}, onData: fail, onEnd() {}, onError: resolve },
      { requestId: "req_1", timeouts: DEFAULT_ENGINE_TIMEOUTS },
    );
    const error = await promise;
    expect([error.code, error.message.includes("secret")]).toEqual(["internal", false]);
  });

  it("ends running calls with an error when it is closed, and new ones after the caller has them", async () => {
    const url = await engine((_req, res) => drip(res));
    const up = createUpstream();
    const running = post(up, url);
    await running.firstData;
    await up.close();
    await running.done;
    const late = post(up, url);
    expect(late.ends).toBe(0);
    await late.done;
    expect([code(running), code(late)]).toEqual(["engine_cut", "engine_unreachable"]);
  });

  it.each(["ftp://x", "nonsense", "http://u:p@host", "http://host/?a=1"])("refuses the address %s", (url) => {
    expect(() => post(upstream(), url)).toThrow(/engine/);
  });
});

describe("connections", () => {
  it("speak TLS with who has a certificate to be trusted, and resume", async () => {
    const { key, cert } = selfSigned();
    const resumed: boolean[] = [];
    const server = createTlsServer({ key, cert }, (req, res) => {
      resumed.push((req.socket as TLSSocket).isSessionReused());
      req.on("data", () => {}).on("end", () => res.writeHead(200, { connection: "close" }).end("x".repeat(100_000)));
    });
    const url = (await listen(server)).replace("http:", "https:");
    const stranger = post(upstream(), url);
    await stranger.done;
    expect(code(stranger)).toBe("engine_unreachable");
    expect((stranger.end as GatewayError).message).toContain("certificate");
    const up = upstream({ ca: cert });
    for (let round = 0; round < 2; round++) {
      const seen = post(up, url);
      await seen.done;
      expect([code(seen), seen.body.length]).toEqual(["end", 100_000]);
    }
    expect(resumed).toEqual([false, true]);
  });

  it("are not used again when their answer came before the request was sent whole, or with bytes behind it", async () => {
    let connections = 0;
    const url = await listen(
      createTcpServer((socket) => {
        connections++;
        socket.once("data", () => {
          socket.pause();
          const more = connections === 2 ? "HTTP/1.1 200 OK\r\n" : "";
          socket.write(`HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno${more}`);
        });
      }),
    );
    const up = upstream();
    const large = up.request({ url }, { method: "POST", path: "/", body: "x".repeat(32 * 1024 * 1024) });
    expect(await large).toMatchObject({ status: 413, text: "no" });
    for (let round = 0; round < 2; round++)
      expect(await up.get({ url }, "/")).toMatchObject({ status: 413, text: "no" });
    expect(connections).toBe(3);
  });

  it("are not used again once the engine has closed them, and not longer than it keeps them", async () => {
    const used = new Set<number | undefined>();
    const url = await engine((req, res) => {
      used.add(req.socket.remotePort);
      res.setHeader("keep-alive", req.url === "/short" ? "timeout=1" : "timeout=60");
      res.end("x");
      if (req.url === "/closing") setTimeout(() => req.socket.end(), 10);
    });
    const up = upstream();
    for (const path of ["/kept", "/closing"]) await up.get({ url }, path);
    expect(used.size).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 60));
    for (const path of ["/short", "/other"]) await up.get({ url }, path);
    expect(used.size).toBe(3);
  });

  it("are made as long as it may take, and no longer", async () => {
    // An address of documentation (RFC 5737): nobody takes the connection, and seldom does anybody refuse it.
    const seen = post(upstream({ connectMs: 80 }), "http://192.0.2.1:9");
    await seen.done;
    expect(code(seen)).toBe("engine_unreachable");
  });

  it("carry no key that could end its header", () => {
    expect(() => post(upstream(), "http://127.0.0.1:9", { apiKey: "a\r\nx: y" })).toThrow(/API key/);
  });
});

function selfSigned(): { key: string; cert: string } {
  const directory = mkdtempSync(join(tmpdir(), "evener-tls-"));
  try {
    const [key, cert] = [join(directory, "key"), join(directory, "cert")];
    const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
    execFileSync("openssl", ["req", "-x509", ...kind, ...name, "-keyout", key, "-out", cert], { stdio: "ignore" });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("small requests", () => {
  it("resolves with any status, whole", async () => {
    const url = await engine((req, res) => {
      res.writeHead(404, { "content-type": "application/json" }).end(`{"path":"${req.url}","method":"${req.method}"}`);
    });
    const answer = await upstream().get({ url: `${url}/v1` }, "/tokenize");
    expect(answer).toMatchObject({ status: 404, text: `{"path":"/tokenize","method":"GET"}` });
  });

  it("rejects what is too large or too slow", async () => {
    const url = await engine((req, res) => (req.url === "/slow" ? undefined : res.end("x".repeat(2_000))));
    const up = upstream();
    await expect(up.get({ url }, "/large", { maxBytes: 1_000 })).rejects.toMatchObject({ code: "engine_failed" });
    await expect(up.get({ url }, "/slow", { timeoutMs: 100 })).rejects.toMatchObject({ code: "engine_timeout" });
  });
});

function drip(res: ServerResponse, times = Infinity): void {
  const timer = setInterval(() => {
    if (times-- > 0) res.write(".");
    else res.end();
  }, 40);
  res.on("close", () => clearInterval(timer));
}
