/**
 * An engine whose prompts are read by a real vLLM and whose answers are played from a script.
 *
 * A model with random weights calls no tools, so no session of an agent comes about with it alone. What the prefix cache
 * keeps depends on the prompts, though, and each of them goes to vLLM as the gateway wrote it, byte for byte. The usage in
 * the played answers is what vLLM counted.
 */
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { WINDOWS, SERVED_MODEL } from "./vllm.ts";
import type { ScriptRequest, Turn } from "../../../src/simulator/script.ts";
import { type Simulator, startSimulator } from "../../../src/simulator/start.ts";
import { send } from "../../support/http.ts";

/** What vLLM said of one prompt, in tokens. */
export type Reading = { prompt: number; cached: number };

export type PlayedEngine = {
  readonly url: string;
  /** By the request's id, in the order of their arrival. */
  readonly readings: ReadonlyMap<string, Reading>;
  play(script: (request: ScriptRequest) => Turn | undefined): void;
  close(): Promise<void>;
};

/** `vllm`: the address of the server that reads. */
export async function startPlayedEngine(vllm: string): Promise<PlayedEngine> {
  const simulator = await startSimulator({
    model: SERVED_MODEL,
    maxModelLen: WINDOWS.tinyqwen3,
    reasoning: true,
  });
  const readings = new Map<string, Reading>();
  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: error.message, type: "InternalServerError", code: 500 } }));
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    const body = await text(request);
    if (path !== "/v1/chat/completions") return forward(vllm, request, body, response);
    const id = String(request.headers["x-request-id"]);
    const reading = await readPrompt(vllm, id, body);
    readings.set(id, reading);
    const played = await send(`${simulator.url}${path}`, { body });
    response.writeHead(played.status, { "content-type": played.headers["content-type"] ?? "text/plain" });
    response.end(withReading(played.text, reading));
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    readings,
    play: (script) => simulator.setScript(script),
    close: () => closeBoth(simulator, server),
  };
}

/**
 * Lets vLLM read the prompt and write one token. Of two fields with one name its JSON reader takes the last, so the prompt
 * need not be written anew.
 */
async function readPrompt(vllm: string, id: string, body: string): Promise<Reading> {
  const read = `${body.slice(0, body.lastIndexOf("}"))},"stream":false,"stream_options":null,"max_tokens":1}`;
  const answer = await send(`${vllm}/v1/chat/completions`, { headers: { "x-request-id": id }, body: read });
  if (answer.status !== 200) throw new Error(`vLLM refused the prompt: ${answer.status} ${answer.text}`);
  const { usage } = JSON.parse(answer.text) as {
    usage: {
      prompt_tokens: number;
      completion_tokens: number;
      prompt_tokens_details: { cached_tokens: number } | null;
    };
  };
  if (usage.completion_tokens !== 1) throw new Error(`vLLM wrote ${usage.completion_tokens} tokens instead of one`);
  if (usage.prompt_tokens_details === null) throw new Error("vLLM reports no cached tokens");
  return { prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details.cached_tokens };
}

/** A played stream, with vLLM's counts of the prompt in the place of the simulator's. */
function withReading(stream: string, { prompt, cached }: Reading): string {
  return stream
    .split("\n\n")
    .map((event) => {
      if (!event.startsWith("data: {")) return event;
      const chunk = JSON.parse(event.slice("data: ".length)) as {
        usage?: {
          prompt_tokens: number;
          total_tokens: number;
          completion_tokens: number;
          prompt_tokens_details?: object;
        };
      };
      const { usage } = chunk;
      if (usage === undefined) return event;
      usage.prompt_tokens = prompt;
      usage.total_tokens = prompt + usage.completion_tokens;
      if (usage.prompt_tokens_details !== undefined) usage.prompt_tokens_details = { cached_tokens: cached };
      return `data: ${JSON.stringify(chunk)}`;
    })
    .join("\n\n");
}

/** Everything that is no chat (models, version, token counts) is vLLM's own. */
async function forward(vllm: string, request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
  const answer = await send(`${vllm}${request.url}`, { method: request.method ?? "GET", ...(body !== "" && { body }) });
  response.writeHead(answer.status, { "content-type": answer.headers["content-type"] ?? "text/plain" });
  response.end(answer.text);
}

async function closeBoth(simulator: Simulator, server: ReturnType<typeof createServer>): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await Promise.all([closed, simulator.close()]);
}
