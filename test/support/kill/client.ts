/** A client that asks the gateway for one answer, and tells exactly what it got of it, however that ended. */
import { start } from "../http.ts";
import type { Payer } from "./payers.ts";

export type Ask = {
  /** The gateway. */
  url: string;
  payer: Payer;
  /** Sent as the session, so that its row can be found also when no answer came. */
  mark: string;
  wire: "messages" | "chat";
  streamed: boolean;
  /** Tokens that the engine will answer, if nobody stops it, and milliseconds between two of them. */
  tokens: number;
  delayMs: number;
  /** How the prompt begins, before the question. */
  system: string;
  /** Hangs up after so many milliseconds. */
  leavesAfterMs?: number | undefined;
};

export type Told = {
  ask: Ask;
  /** Undefined when no head came. */
  requestId: string | undefined;
  /** HTTP status; 0 when no head came. */
  status: number;
  retryAfter: string | undefined;
  /** Whole: the answer came to its end. Error: it said itself that it failed. Cut: the connection ended inside it. */
  end: "whole" | "error" | "cut" | "left";
  /** Tokens of text that were received. */
  seen: number;
  /** Of a whole answer: the output tokens that it says it has. */
  output: number | undefined;
  /** Of a whole answer: whether a limit ended it. */
  limited: boolean;
  /** Milliseconds since 1970. */
  endedAt: number;
  /** The answer's text where it was no success. */
  problem: string;
};

/** An answer may have so many; more than anybody asks for. */
const MOST_TOKENS = 400;
/** Every token of an answer is this long. */
const TOKEN = "t";

/** Never rejects. */
export function ask(asked: Ask): Promise<Told> {
  const { wire, streamed } = asked;
  const path = wire === "messages" ? "/v1/messages" : "/v1/chat/completions";
  const request = start(`${asked.url}${path}`, {
    headers: { authorization: `Bearer ${asked.payer.key}`, "x-session-id": asked.mark },
    body: bodyOf(asked),
  });
  return new Promise((resolve) => {
    let left = false;
    const leave = (): void => {
      left = true;
      request.destroy();
    };
    const timer = asked.leavesAfterMs === undefined ? undefined : setTimeout(leave, asked.leavesAfterMs);
    const told: Told = {
      ask: asked,
      requestId: undefined,
      status: 0,
      retryAfter: undefined,
      end: "cut",
      seen: 0,
      output: undefined,
      limited: false,
      endedAt: 0,
      problem: "",
    };
    const finish = (text: string, complete: boolean): void => {
      clearTimeout(timer);
      told.endedAt = Date.now();
      if (told.status === 200) Object.assign(told, streamed ? readStream(text) : complete ? readAnswer(text) : {});
      else if (complete) {
        told.end = "error";
        told.problem = text;
      }
      if (left && told.end !== "whole") told.end = "left";
      resolve(told);
    };
    request.on("error", () => told.status === 0 && finish("", false));
    request.on("response", (response) => {
      told.status = response.statusCode ?? 0;
      const id = response.headers["request-id"];
      told.requestId = typeof id === "string" ? id : undefined;
      told.retryAfter = response.headers["retry-after"];
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("error", () => {});
      response.on("close", () => finish(text, response.complete));
    });
  });
}

function bodyOf({ wire, streamed, tokens, delayMs, system }: Ask): object {
  const question = `[[sim:chunks=${tokens},delay=${delayMs},text=${TOKEN}]]`;
  const common = { model: "simulated-model", max_tokens: MOST_TOKENS, stream: streamed };
  const user = { role: "user", content: question };
  if (wire === "messages") return { ...common, system, messages: [user] };
  return {
    ...common,
    messages: [{ role: "system", content: system }, user],
    ...(streamed && { stream_options: { include_usage: true } }),
  };
}

type Read = Partial<Pick<Told, "end" | "seen" | "output" | "limited" | "problem">>;
type Usage = { output_tokens?: number; completion_tokens?: number };
type Message = { content: { text?: string }[]; stop_reason: string; usage: Usage };
type Completion = { choices: { message: { content: string }; finish_reason: string }[]; usage: Usage };
type Frame = {
  type?: string;
  delta?: { text?: string; stop_reason?: string };
  choices?: { delta: { content?: string | null }; finish_reason: string | null }[];
  usage?: Usage | null;
  error?: unknown;
};

function readAnswer(text: string): Read {
  const answer = JSON.parse(text) as Message | Completion;
  if ("content" in answer)
    return {
      end: "whole",
      seen: answer.content.reduce((sum, block) => sum + (block.text?.length ?? 0), 0) / TOKEN.length,
      output: answer.usage.output_tokens,
      limited: answer.stop_reason === "max_tokens",
    };
  const [choice] = answer.choices;
  return {
    end: "whole",
    seen: (choice?.message.content.length ?? 0) / TOKEN.length,
    output: answer.usage.completion_tokens,
    limited: choice?.finish_reason === "length",
  };
}

function readStream(text: string): Read {
  const read: Read & { seen: number } = { seen: 0 };
  // What follows the last empty line is an event that was cut.
  for (const event of text.split("\n\n").slice(0, -1)) {
    const data = /^data: (.*)$/m.exec(event)?.[1];
    if (data === undefined) continue;
    if (data === "[DONE]") {
      read.end ??= "whole";
      continue;
    }
    const frame = JSON.parse(data) as Frame;
    if (frame.error !== undefined) {
      read.end = "error";
      read.problem = data;
    }
    if (frame.type === "message_stop") read.end = "whole";
    const choice = frame.choices?.[0];
    read.seen += (frame.delta?.text ?? choice?.delta.content ?? "").length / TOKEN.length;
    const output = frame.usage?.output_tokens ?? frame.usage?.completion_tokens;
    if (output !== undefined) read.output = output;
    const reason = frame.delta?.stop_reason ?? choice?.finish_reason;
    if (typeof reason === "string") read.limited = reason === "max_tokens" || reason === "length";
  }
  return read;
}
