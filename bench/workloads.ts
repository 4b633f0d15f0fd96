/** What is measured: the workloads, and the request bodies that they send on each wire. */

export type Wire = "anthropic" | "openai";

export type Workload = {
  name: string;
  what: string;
  stream: boolean;
  clients: number;
  /** Bytes of prompt text. */
  promptBytes: number;
  tools: number;
  /** Chunks (one token each) of every answer, and milliseconds between two of them. */
  chunks: number;
  delayMs: number;
  /** The clients begin one by one over so long. */
  rampMs: number;
  /** No request begins later than this after the start; what runs by then is finished. */
  durationMs: number;
  /** At most so many requests. */
  requests: number;
  /** Requests beforehand that are not counted. */
  warmUp: number;
  /** Read the clocks over this part of the run only, while every client has a stream open. */
  steadyMs?: readonly [from: number, to: number];
};

const base = { rampMs: 0, requests: Number.MAX_SAFE_INTEGER, tools: 0, delayMs: 0 };

export const WORKLOADS: readonly Workload[] = [
  {
    ...base,
    name: "W1",
    what: "not streamed, 1 KB prompt, 20 chunks in the answer, 32 clients",
    stream: false,
    clients: 32,
    promptBytes: 1_024,
    chunks: 20,
    durationMs: 4_000,
    warmUp: 30_000,
  },
  {
    ...base,
    name: "W2",
    what: "streamed, 80 KB prompt and 20 tools, 200 chunks as fast as they go, 16 clients",
    stream: true,
    clients: 16,
    promptBytes: 80_000,
    tools: 20,
    chunks: 200,
    durationMs: 4_000,
    warmUp: 300,
  },
  {
    ...base,
    name: "W3",
    what: "200 live streams of 100 chunks, 10 ms apart",
    stream: true,
    clients: 200,
    promptBytes: 1_024,
    chunks: 100,
    delayMs: 10,
    rampMs: 500,
    durationMs: 4_000,
    requests: 800,
    warmUp: 200,
  },
  {
    ...base,
    name: "W4",
    what: "one client, streamed, 80 KB prompt and 20 tools: time to the first token",
    stream: true,
    clients: 1,
    promptBytes: 80_000,
    tools: 20,
    chunks: 20,
    durationMs: 4_000,
    requests: 200,
    warmUp: 2_000,
  },
  {
    ...base,
    name: "W5",
    what: "1,000 live streams of 10 chunks a second, while all are open",
    stream: true,
    clients: 1_000,
    promptBytes: 1_024,
    chunks: 130,
    delayMs: 100,
    rampMs: 3_000,
    durationMs: 3_500,
    requests: 1_000,
    warmUp: 200,
    steadyMs: [4_500, 11_500],
  },
];

/** Prompt tokens that the upstream reports for every request; half of them cached. */
export const PROMPT_TOKENS = 1_024;

/** A request body in two halves, between which every request writes a number of its own: no two bodies are alike. */
export type BodyTemplate = { before: string; after: string };

/** Digits of the number between the halves. */
export const NONCE_DIGITS = 8;

export const MODEL = "bench-model";

export function bodyTemplate(wire: Wire, workload: Workload): BodyTemplate {
  const mark = "0".repeat(NONCE_DIGITS) + "-nonce";
  const directive = `[[bench chunks=${workload.chunks} delay=${workload.delayMs}]]`;
  const prompt = `${mark} ${promptText(workload.promptBytes)} ${directive}`;
  const tools = Array.from({ length: workload.tools }, (_, index) => tool(wire, index));
  const common = { model: MODEL, max_tokens: 4_096, stream: workload.stream, ...(tools.length > 0 && { tools }) };
  const body =
    wire === "anthropic"
      ? {
          ...common,
          system: [{ type: "text", text: "You are a coding agent.", cache_control: { type: "ephemeral" } }],
          messages: [{ role: "user", content: [{ type: "text", text: prompt }] }],
        }
      : {
          ...common,
          ...(workload.stream && { stream_options: { include_usage: true } }),
          messages: [
            { role: "system", content: "You are a coding agent." },
            { role: "user", content: prompt },
          ],
        };
  const [before = "", after = ""] = JSON.stringify(body).split(mark);
  return { before, after };
}

function promptText(bytes: number): string {
  const line = 'if (value !== "a\\tb") return rows[index]; // the quick brown fox jumps over the lazy dog\n';
  return line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes);
}

function tool(wire: Wire, index: number): unknown {
  const name = `tool_${index}`;
  const description = "Edits a file in place by exact replacement; fails where the text is not unique. ".repeat(6);
  const parameters = {
    type: "object",
    properties: {
      path: { type: "string", description: "Absolute path of the file, never relative to the working directory" },
      old: { type: "string", description: "Exact text to be replaced" },
      new: { type: "string", description: "What takes its place" },
      count: { type: "integer", minimum: 0 },
    },
    required: ["path"],
  };
  return wire === "anthropic"
    ? { name, description, input_schema: parameters }
    : { type: "function", function: { name, description, parameters } };
}
