/**
 * An engine that sends exactly the bytes that a test gives it, when the test says so, and keeps every request as it came.
 * To the gateway it looks like vLLM 0.32; for answers that vLLM itself would make, the simulated engine is the better one.
 */
import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Bytes; a pause; or the end of it all: nothing more on an open connection, or a connection that breaks. */
export type Step = string | Buffer | { wait: number } | { until: Promise<unknown> } | "hang" | "reset"; // eslint-disable-line typescript/no-redundant-type-constituents -- the two names say what else a step may be

export type WireAnswer = {
  status?: number;
  headers?: Record<string, string>;
  /** The body in the writes of which it consists; after the last step it ends as HTTP says, unless a step said otherwise. */
  steps: readonly Step[];
};

export type WireRequest = { path: string; headers: IncomingHttpHeaders; text: string };

export type WireEngine = {
  readonly url: string;
  /** Chat requests, oldest first. */
  readonly requests: WireRequest[];
  /** Bytes of chat answers that the connection has taken so far. */
  readonly sent: number;
  /** The body of the last chat request. */
  lastBody(): WireBody;
  /** Answers to the next chat requests, one each. Without one the engine answers 500. */
  next(...answers: WireAnswer[]): void;
  /** Answers to the next requests with this text in them, for tests that run beside others. */
  answer(text: string, ...answers: WireAnswer[]): void;
  /** Forgets the answers that nobody fetched. */
  drop(): void;
  /** Called when a connection goes before its answer was complete. */
  onGone: () => void;
  /** What /tokenize counts from now on. */
  tokens: number;
  /** Whether it says that it can generate. */
  healthy: boolean;
  /** Until when /tokenize does not answer. */
  counting: Promise<unknown>;
  close(): Promise<void>;
};

export type WireBody = {
  messages: { role: string; content: unknown; [key: string]: unknown }[];
  tools?: { type: string; function: { name: string; [key: string]: unknown } }[];
  [key: string]: unknown;
};

export type WireEngineOptions = {
  models?: readonly string[];
  window?: number;
  /** What it says of itself in its list of models; decides for what the gateway takes it. */
  ownedBy?: string;
};

export async function startWireEngine({
  models = ["test-model"],
  window = 8_192,
  ownedBy = "vllm",
}: WireEngineOptions = {}): Promise<WireEngine> {
  const requests: WireRequest[] = [];
  const answers: WireAnswer[] = [];
  const marked = new Map<string, WireAnswer[]>();
  let sent = 0;

  const server = createServer((req, res) => {
    req.on("error", () => {});
    res.on("error", () => {});
    const parts: Buffer[] = [];
    req.on("data", (part: Buffer) => parts.push(part));
    req.on("end", () => void route(req, res, Buffer.concat(parts).toString("utf8")));
  });

  function route(req: IncomingMessage, res: ServerResponse, text: string): unknown {
    switch (req.url) {
      case "/v1/models":
        return json(res, {
          object: "list",
          data: models.map((id) => ({
            id,
            object: "model",
            created: 1,
            owned_by: ownedBy,
            root: id,
            parent: null,
            max_model_len: window,
          })),
        });
      case "/version":
        return ownedBy === "vllm" ? json(res, { version: "0.32.0" }) : res.writeHead(404).end();
      case "/health":
        return res.writeHead(engine.healthy ? 200 : 503).end();
      case "/tokenize":
        return void engine.counting.then(() =>
          json(res, { count: engine.tokens, max_model_len: window, tokens: [1], token_strs: null }),
        );
      case "/v1/chat/completions": {
        requests.push({ path: req.url, headers: req.headers, text });
        const own = [...marked].find(([marker]) => text.includes(marker))?.[1];
        const answer = (own ?? answers).shift();
        if (answer === undefined)
          return res.writeHead(500).end('{"error":{"message":"one request too many","code":500}}');
        res.once("close", () => res.writableFinished || engine.onGone());
        return play(answer, res);
      }
      default:
        return res.writeHead(404, { "content-type": "application/json" }).end('{"detail":"Not Found"}');
    }
  }

  async function play({ status = 200, headers, steps }: WireAnswer, res: ServerResponse): Promise<void> {
    const type = status === 200 ? "text/event-stream; charset=utf-8" : "application/json";
    for (const [index, step] of steps.entries()) {
      if (res.destroyed) return;
      if (step === "hang") return;
      if (step === "reset") {
        // A reset throws away what the other side has not read yet: give it time to.
        if (index > 0) await sleep(20);
        res.socket?.resetAndDestroy();
        return;
      }
      if (typeof step === "object" && "wait" in step) await sleep(step.wait);
      else if (typeof step === "object" && "until" in step) await step.until;
      else {
        if (!res.headersSent) res.writeHead(status, { "content-type": type, ...headers });
        const room = res.write(step);
        sent += Buffer.byteLength(step);
        // Each write of its own, so that the reader meets the boundaries; and no more than the reader takes.
        if (room) await new Promise((resolve) => void setImmediate(resolve));
        else await drained(res);
      }
    }
    if (!res.headersSent) res.writeHead(status, { "content-type": type, ...headers });
    res.end();
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const engine: WireEngine = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get sent() {
      return sent;
    },
    tokens: 40,
    healthy: true,
    counting: Promise.resolve(),
    onGone: () => {},
    lastBody: () => JSON.parse(requests.at(-1)?.text ?? "null") as WireBody,
    next: (...more) => void answers.push(...more),
    answer: (text, ...more) => void marked.set(text, more),
    drop: () => void answers.splice(0),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return engine;
}

/** Resolves when the reader has taken what waits, or is gone; leaves no listeners behind. */
async function drained(res: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(res, "drain", { signal }), once(res, "close", { signal })]);
  over.abort();
}

function json(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
