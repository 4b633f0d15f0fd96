/** A simulated engine that ends with its test, and a client that sees every byte that it sends. */
import http from "node:http";
import { onTestFinished } from "vitest";
import type { SimulatorOptions } from "../../src/simulator/options.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";

/** For use inside a test; in a hook, use `startSimulator` and close it in the hook's counterpart. */
export async function simulate(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator(options);
  onTestFinished(() => simulator.close());
  return simulator;
}

export type RawAnswer = {
  status: number;
  /** Names as they were sent. */
  headers: [name: string, value: string][];
  body: Buffer;
  text: string;
  /** `complete`: the body ended as HTTP says; `cut`: it did not; `no-head`: not even a head came. */
  end: "complete" | "cut" | "no-head";
};

export type RawRequest = {
  answer: Promise<RawAnswer>;
  /** What has come so far; status 0 before the head. */
  received(): { status: number; text: string };
  abort(): void;
};

/** Sends a request on a connection of its own. `body` is sent as JSON unless it is text. */
export function send(
  url: string,
  { method = "POST", body, headers = {} }: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): RawRequest {
  const request = http.request(url, {
    method,
    agent: false,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
  });
  const chunks: Buffer[] = [];
  let status = 0;
  const answer = new Promise<RawAnswer>((resolve) => {
    const finish = (end: RawAnswer["end"], response?: http.IncomingMessage): void => {
      const raw = response?.rawHeaders ?? [];
      const list = raw.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, raw[index + 1]!]] : []));
      const whole = Buffer.concat(chunks);
      resolve({ status: response?.statusCode ?? 0, headers: list, body: whole, text: whole.toString("utf8"), end });
    };
    // A reset is told to the request too when the response has begun.
    request.on("error", () => status > 0 || finish("no-head"));
    request.on("response", (response) => {
      status = response.statusCode ?? 0;
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => {});
      response.on("close", () => finish(response.complete ? "complete" : "cut", response));
    });
  });
  request.end(body === undefined || typeof body === "string" ? body : JSON.stringify(body));
  return {
    answer,
    received: () => ({ status, text: Buffer.concat(chunks).toString("utf8") }),
    abort: () => void request.destroy(),
  };
}

/** A chat request to a simulator, and its whole answer. */
export function chat(simulator: Simulator, body: unknown, headers?: Record<string, string>): RawRequest {
  return send(`${simulator.url}/v1/chat/completions`, { body, ...(headers && { headers }) });
}

/** The `data:` payloads of a stream, in order. */
export function eventData(text: string): string[] {
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice("data: ".length));
}

/** Resolves once a condition holds; looks at every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => void setImmediate(resolve));
}
