/**
 * The engine of the bench: answers as a vLLM would, as fast as it can, over raw sockets.
 *
 *   node bench/upstream.ts        prints the port that it listens on
 *
 * How many chunks, and how far apart, stands in the prompt: `[[bench chunks=20 delay=0]]`. Every chunk carries its number
 * and the time at which it was written, so that the loader sees what was lost, doubled or delayed.
 */
import { type AddressInfo, type Socket, createServer } from "node:net";
import { chunkText } from "./chunk-text.ts";
import { httpReader } from "./http-reader.ts";
import { MODEL, PROMPT_TOKENS } from "./workloads.ts";

const CACHED_TOKENS = PROMPT_TOKENS / 2;
const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
const CHUNK_HEAD = `data: {"id":"chatcmpl-968dbf05626d958a","object":"chat.completion.chunk","created":1795360340,"model":"${MODEL}","choices":`;

type Plan = { chunks: number; delayMs: number; usage: boolean; running: boolean };

function framed(event: string): string {
  return `${event.length.toString(16)}\r\n${event}\r\n`;
}

function usage(completion: number, details: string): string {
  return `"usage":{"prompt_tokens":${PROMPT_TOKENS},"total_tokens":${PROMPT_TOKENS + completion},"completion_tokens":${completion},${details}"completion_tokens_details":null}`;
}

function planOf(body: Buffer): Plan {
  const start = body.lastIndexOf("[[bench ");
  const found = /^\[\[bench chunks=(\d+) delay=(\d+)\]\]/.exec(body.toString("latin1", start, start + 64));
  if (start < 0 || found === null) throw new Error("a request without a [[bench]] directive");
  return {
    chunks: Number(found[1]),
    delayMs: Number(found[2]),
    usage: body.includes('"include_usage":true'),
    running: body.includes('"continuous_usage_stats":true'),
  };
}

function stream(socket: Socket, plan: Plan): void {
  const running = (tokens: number) => (plan.running ? `,${usage(tokens, "")}` : "");
  const write = (event: string) => socket.write(framed(event), "latin1");
  socket.write(STREAM_HEAD, "latin1");
  write(
    `${CHUNK_HEAD}[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]${running(0)},"prompt_token_ids":null,"prompt_text":null}\n\n`,
  );
  const chunk = (index: number) => {
    write(
      `${CHUNK_HEAD}[{"index":0,"delta":{"content":"${chunkText(index)}"},"logprobs":null,"finish_reason":null,"token_ids":null}]${running(index + 1)}}\n\n`,
    );
  };
  const finish = () => {
    write(
      `${CHUNK_HEAD}[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}]${running(plan.chunks)}}\n\n`,
    );
    const details = `"prompt_tokens_details":{"cached_tokens":${CACHED_TOKENS}},`;
    if (plan.usage) write(`${CHUNK_HEAD}[],${usage(plan.chunks, details)}}\n\n`);
    socket.write(`${framed("data: [DONE]\n\n")}0\r\n\r\n`, "latin1");
  };
  if (plan.delayMs === 0) {
    for (let index = 0; index < plan.chunks; index++) chunk(index);
    finish();
    return;
  }
  let index = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else if (index < plan.chunks) chunk(index++);
    else {
      clearInterval(timer);
      finish();
    }
  }, plan.delayMs);
}

function whole(plan: Plan): string {
  const text = Array.from({ length: plan.chunks }, (_, index) => chunkText(index)).join("");
  const message = `{"role":"assistant","content":"${text}","refusal":null,"reasoning":null}`;
  const details = `"prompt_tokens_details":{"cached_tokens":${CACHED_TOKENS}},`;
  return `{"id":"chatcmpl-968dbf05626d958a","object":"chat.completion","created":1795360340,"model":"${MODEL}","choices":[{"index":0,"message":${message},"logprobs":null,"finish_reason":"stop","stop_reason":null}],${usage(plan.chunks, details)}}`;
}

function json(socket: Socket, body: string): void {
  socket.write(
    `HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    "latin1",
  );
}

function answer(socket: Socket, path: string, body: Buffer): void {
  if (path === "/v1/chat/completions") {
    const plan = planOf(body);
    if (body.includes('"stream":true')) stream(socket, plan);
    else json(socket, whole(plan));
  } else if (path === "/v1/models") {
    json(
      socket,
      `{"object":"list","data":[{"id":"${MODEL}","object":"model","created":1795360337,"owned_by":"vllm","max_model_len":131072}]}`,
    );
  } else if (path === "/tokenize") {
    json(socket, `{"count":${PROMPT_TOKENS},"max_model_len":131072,"tokens":[],"token_strs":null}`);
  } else if (path === "/version") json(socket, '{"version":"0.32.0"}');
  else if (path === "/health") socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  else socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
}

const server = createServer({ noDelay: true }, (socket) => {
  let path = "";
  let pieces: Buffer[] = [];
  const feed = httpReader({
    onHead: (head) => {
      path = head.slice(head.indexOf(" ") + 1, head.indexOf(" HTTP/"));
      if (/\r\nexpect: 100-continue/i.test(head)) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    },
    onBody: (piece) => pieces.push(Buffer.from(piece)),
    onEnd: () => {
      const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
      pieces = [];
      answer(socket, path, body);
    },
  });
  socket.on("data", feed);
  socket.on("error", () => socket.destroy());
});
// Ends with whoever started it.
process.stdin.resume().on("end", () => process.exit());
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", 4_096, () =>
  console.log((server.address() as AddressInfo).port),
);
