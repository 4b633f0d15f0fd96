/** Starts a simulated engine: an HTTP server that answers as vLLM 0.32.0 does. For trying, tests and load; never a proof. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerChat } from "./chat.ts";
import { createEngine } from "./engine.ts";
import { type Exchange, send } from "./http.ts";
import { renderMetrics } from "./metrics.ts";
import { modelsBody } from "./models-body.ts";
import { resolveOptions, type SimulatorOptions } from "./options.ts";
import { type Counters, countOutcome, createCounters, createRecord, type RecordedRequest } from "./record.ts";
import { internalError, methodNotAllowed, notFound, Refusal, unauthorized, unsupportedMediaType } from "./refusal.ts";
import type { Script, Turn } from "./script.ts";
import { answerDetokenize, answerTokenize } from "./tokenize-routes.ts";

export type Simulator = {
  /** Base address without a path, e.g. `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly port: number;
  /** The first served name. */
  readonly model: string;
  /** The last `keepRequests` requests on every path, oldest first; each changes while it is being answered. */
  readonly requests: readonly RecordedRequest[];
  /** Counts of chat requests since the start. */
  readonly counters: Readonly<Counters>;
  readonly running: number;
  readonly waiting: number;
  readonly peakRunning: number;
  /** Tokens so far, as in /metrics. */
  readonly totals: Readonly<{ promptTokens: number; cachedTokens: number; generatedTokens: number }>;
  /** Replaces the script. */
  setScript(script: Script | undefined): void;
  /** Answers to the next chat requests, one each, before the script is asked. */
  next(...turns: Turn[]): void;
  /** The engine core dies: streams end with an error, later requests get 500, /health 503. With `process`, the port closes. */
  die(how?: "core" | "process"): Promise<void>;
  /** Lives again, on the same port, with an empty prefix cache. */
  revive(): Promise<void>;
  /** Resolves when no chat request is in flight. */
  idle(): Promise<void>;
  /** Cuts what is still in flight and frees the port. */
  close(): Promise<void>;
};

const JSON_TYPE = "application/json";
const METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8";

export async function startSimulator(given: SimulatorOptions = {}): Promise<Simulator> {
  const options = resolveOptions(given);
  const engine = createEngine(options, given.script);
  const requests: RecordedRequest[] = [];
  const counters = createCounters();
  const started = Math.floor(Date.now() / 1000);

  type Route = { method: "GET" | "POST"; answer: (exchange: Exchange, text: string) => void | Promise<void> };
  const json =
    (answer: (text: string) => string): Route["answer"] =>
    (exchange, text) =>
      send(exchange, 200, answer(text), JSON_TYPE);
  const routes: Record<string, Route> = {
    "/v1/chat/completions": { method: "POST", answer: chat },
    "/v1/models": { method: "GET", answer: json(() => modelsBody(engine, started)) },
    "/tokenize": { method: "POST", answer: json((text) => answerTokenize(text, options)) },
    "/detokenize": { method: "POST", answer: json((text) => answerDetokenize(text, options)) },
    "/health": { method: "GET", answer: (exchange) => send(exchange, engine.dead ? 503 : 200, "") },
    "/ping": { method: "GET", answer: (exchange) => send(exchange, engine.dead ? 503 : 200, "") },
    "/version": { method: "GET", answer: json(() => '{"version":"0.32.0"}') },
    "/load": {
      method: "GET",
      answer: json(() => `{"server_load":${engine.scheduler.running + engine.scheduler.waiting}}`),
    },
    "/metrics": { method: "GET", answer: (exchange) => send(exchange, 200, renderMetrics(engine), METRICS_TYPE) },
  };

  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, (req, res) => void serve(req, res));

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? "/";
    const record = createRecord(req.method ?? "", path, req.headers);
    requests.push(record);
    if (requests.length > options.keepRequests) requests.shift();
    const sent = req.headers["x-request-id"];
    const requestId = typeof sent === "string" ? sent : engine.nextId(32);
    const exchange: Exchange = { req, res, record, requestId, tellsRequestId: options.requestIdHeaders };
    res.on("close", () => {
      if (record.status > 0) {
        engine.metrics.statuses.set(record.status, (engine.metrics.statuses.get(record.status) ?? 0) + 1);
      }
    });
    try {
      await dispatch(exchange, path.split("?", 1)[0] ?? path);
    } catch (error) {
      refuse(exchange, error);
    } finally {
      if (record.outcome === "pending") record.outcome = "finished";
    }
  }

  function refuse(exchange: Exchange, error: unknown): void {
    const { res, record } = exchange;
    // A script that throws is answered as vLLM answers a fault of its own, so that whoever wrote it sees what it threw.
    const refusal = error instanceof Refusal ? error : internalError(error);
    record.outcome = "refused";
    if (res.headersSent) res.destroy();
    else send(exchange, refusal.status, refusal.body, JSON_TYPE, refusal.headers);
  }

  async function dispatch(exchange: Exchange, path: string): Promise<void> {
    const { req } = exchange;
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (
      path.startsWith("/v1") &&
      options.apiKey !== undefined &&
      req.headers.authorization !== `Bearer ${options.apiKey}`
    ) {
      throw unauthorized();
    }
    if (!route) throw notFound();
    if (req.method !== route.method) throw methodNotAllowed(route.method);
    if (route.method === "GET") {
      await route.answer(exchange, "");
      return;
    }
    if (!(req.headers["content-type"] ?? "").startsWith(JSON_TYPE)) throw unsupportedMediaType();
    if (route.answer === chat) {
      await chat(exchange);
      return;
    }
    const text = await readText(req);
    if (text === undefined) exchange.record.outcome = "aborted";
    else await route.answer(exchange, text);
  }

  async function chat(exchange: Exchange): Promise<void> {
    const { req, res, record } = exchange;
    const live = engine.enter();
    counters.received++;
    res.on("close", () => {
      if (!res.writableFinished) live.end("client-gone");
    });
    try {
      const text = await readText(req);
      if (text === undefined) record.outcome = "aborted";
      else await answerChat(engine, exchange, live, text, kill);
    } catch (error) {
      refuse(exchange, error);
    } finally {
      countOutcome(counters, record);
      engine.leave(live);
    }
  }

  function kill(process: boolean): void {
    if (process) closeServer();
    engine.die();
  }

  function closeServer(): void {
    server.close();
    server.closeAllConnections();
  }

  async function listen(port: number): Promise<number> {
    server.listen(port, given.host ?? "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  const port = await listen(given.port ?? 0);
  const host = given.host ?? "127.0.0.1";
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    model: options.models[0],
    requests,
    counters,
    get running() {
      return engine.scheduler.running;
    },
    get waiting() {
      return engine.scheduler.waiting;
    },
    get peakRunning() {
      return engine.scheduler.peakRunning;
    },
    get totals() {
      const { promptTokens, cacheHits, generationTokens } = engine.metrics;
      return { promptTokens, cachedTokens: cacheHits, generatedTokens: generationTokens };
    },
    setScript: (script) => engine.script.set(script),
    next: (...turns) => engine.script.next(...turns),
    async die(how = "core") {
      if (how === "process" && server.listening) {
        const closed = once(server, "close");
        closeServer();
        await closed;
      }
      engine.die();
    },
    async revive() {
      engine.revive();
      if (!server.listening) await listen(port);
    },
    idle: () => engine.idle(),
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      closeServer();
      await closed;
    },
  };
}

/** A request's body; undefined when the client left before it was complete. */
async function readText(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of req) chunks.push(chunk as Buffer);
  } catch (error) {
    if (req.complete) throw error;
    return undefined;
  }
  return Buffer.concat(chunks).toString("utf8");
}
