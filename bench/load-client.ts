/** One client of the loader: a kept-alive connection that sends requests one after the other and checks each answer. */
import { type Socket, connect } from "node:net";
import { chunkScanner, nowMicroseconds } from "./chunk-text.ts";
import { httpReader } from "./http-reader.ts";
import type { LoadOptions } from "./load-result.ts";
import { NONCE_DIGITS, PROMPT_TOKENS, type Workload, bodyTemplate } from "./workloads.ts";

/** Bytes of an answer's end that are kept to find usage and the terminal event in. */
const TAIL = 2_048;
const LAG_SAMPLE = 4;

export type Client = {
  /** Sends one request and waits for the end of its answer; failures are noted in `errors`, never thrown. */
  request(): Promise<void>;
  reset(): void;
  chunks: number;
  errors: string[];
  firstMs: number[];
  totalMs: number[];
  /** Of every fourth chunk. */
  lagsMs: number[];
};

type Answer = {
  status: number;
  begun: number;
  first: number;
  next: number;
  ordered: boolean;
  head: string;
  tail: string;
};

export function client(options: LoadOptions, workload: Workload, nextNumber: () => number): Client {
  const url = new URL(options.url);
  const { before, after } = bodyTemplate(options.wire, workload);
  const length = Buffer.byteLength(before) + NONCE_DIGITS + Buffer.byteLength(after);
  const head = requestHead(options, url.host, length);
  let socket: Socket | undefined;
  let answer: Answer | undefined;
  let settle: ((error?: string) => void) | undefined;

  const scan = chunkScanner((index, writtenAt) => {
    if (answer === undefined) return;
    if (index !== answer.next) answer.ordered = false;
    answer.next = index + 1;
    if (index === 0) answer.first = performance.now();
    if (workload.stream && index % LAG_SAMPLE === 0) self.lagsMs.push((nowMicroseconds() - writtenAt) / 1_000);
  });

  const open = () => {
    const opened = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    const feed = httpReader({
      onHead: (read) => {
        if (answer !== undefined) answer.status = Number(read.slice(9, 12));
      },
      onBody: (piece) => {
        if (answer === undefined) return;
        const text = piece.toString("latin1");
        scan(text);
        if (answer.head.length < TAIL) answer.head += text;
        answer.tail = text.length >= TAIL ? text : (answer.tail + text).slice(-TAIL);
      },
      onEnd: () => settle?.(),
    });
    opened.on("data", (data: Buffer) => {
      try {
        feed(data);
      } catch (error) {
        settle?.(String(error));
      }
    });
    const lost = (why: string) => {
      if (socket !== opened) return; // given up before
      socket = undefined;
      settle?.(why);
    };
    opened.on("error", (error) => lost(error.message));
    opened.on("close", () => lost("connection closed"));
    return opened;
  };

  const self: Client = {
    chunks: 0,
    errors: [],
    firstMs: [],
    totalMs: [],
    lagsMs: [],
    reset: () => {
      self.chunks = 0;
      for (const list of [self.errors, self.firstMs, self.totalMs, self.lagsMs]) list.length = 0;
    },
    request: () =>
      new Promise((resolve) => {
        socket ??= open();
        const now = performance.now();
        answer = { status: 0, begun: now, first: Number.NaN, next: 0, ordered: true, head: "", tail: "" };
        const timer = setTimeout(() => settle?.("timeout"), 60_000);
        settle = (error) => {
          clearTimeout(timer);
          settle = undefined;
          const done = answer!;
          answer = undefined;
          const wrong = error ?? whatIsWrong(done, options, workload);
          if (wrong === undefined) {
            const end = performance.now();
            self.chunks += done.next;
            self.firstMs.push(done.first - done.begun);
            self.totalMs.push(end - done.begun);
          } else {
            self.errors.push(wrong);
            socket?.destroy();
            socket = undefined;
          }
          resolve();
        };
        const nonce = String(nextNumber()).padStart(NONCE_DIGITS, "0");
        socket.write(head + before + nonce + after, "latin1");
      }),
  };
  return self;
}

function requestHead(options: LoadOptions, host: string, length: number): string {
  const wire =
    options.wire === "anthropic"
      ? [
          "POST /v1/messages?beta=true HTTP/1.1",
          `x-api-key: ${options.key}`,
          "anthropic-version: 2023-06-01",
          "anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14",
          `x-claude-code-session-id: ${crypto.randomUUID()}`,
          "x-app: cli",
        ]
      : ["POST /v1/chat/completions HTTP/1.1", `authorization: Bearer ${options.key}`];
  const rest = [
    `host: ${host}`,
    "accept: application/json",
    "content-type: application/json",
    `content-length: ${length}`,
  ];
  return `${[...wire, ...rest].join("\r\n")}\r\n\r\n`;
}

/** Checks everything that an answer must be: status, every chunk once and in order, its end, and its usage. */
function whatIsWrong(answer: Answer, options: LoadOptions, workload: Workload): string | undefined {
  if (answer.status !== 200) return `status ${answer.status}: ${answer.tail.slice(0, 200)}`;
  if (!answer.ordered || answer.next !== workload.chunks) return `chunks lost, doubled or out of order: ${answer.next}`;
  if (workload.stream) {
    const end = options.wire === "anthropic" ? "event: message_stop\n" : "data: [DONE]\n";
    if (!answer.tail.includes(end)) return `no end: ${answer.tail.slice(-200)}`;
  }
  const usage = usageOf(answer.head + answer.tail, options.wire);
  if (usage.prompt !== PROMPT_TOKENS || usage.output !== workload.chunks) {
    return `usage ${usage.prompt}+${usage.output}, not ${PROMPT_TOKENS}+${workload.chunks}`;
  }
  return undefined;
}

/** The last usage in a text; Anthropic's input tokens leave out what was cached, so its three classes are added up. */
function usageOf(text: string, wire: "anthropic" | "openai"): { prompt: number; output: number } {
  const last = (name: string) => Number(new RegExp(`.*"${name}": *(\\d+)`, "s").exec(text)?.[1] ?? 0);
  if (wire === "openai") return { prompt: last("prompt_tokens"), output: last("completion_tokens") };
  const prompt = last("input_tokens") + last("cache_read_input_tokens") + last("cache_creation_input_tokens");
  return { prompt, output: last("output_tokens") };
}
