/** Answers as engines give them, made for tests; recorded ones are beside this file. */
import type { JsonObject } from "../../conversation/request.ts";
import type { AskEngine, EngineReply } from "../ask-engine.ts";
import type { Subject } from "../subject.ts";

export const SUBJECT: Subject = { model: "m", kind: "vllm", names: ["m"], window: 131_072 };

export type Message = { content?: string | null; reasoning?: string; calls?: [name: string, args: string][] };

export function completion(message: Message, finish = "stop", usage: JsonObject = {}): EngineReply {
  const { content = null, reasoning = null, calls } = message;
  const tool_calls = calls?.map(([name, args], index) => ({
    id: `call${index}`,
    type: "function",
    function: { name, arguments: args },
  }));
  const body = {
    choices: [{ index: 0, message: { role: "assistant", content, reasoning, tool_calls }, finish_reason: finish }],
    usage: { prompt_tokens: 20, completion_tokens: 8, ...usage },
  };
  return { status: 200, text: JSON.stringify(body) };
}

/** `usage`: on every chunk, in one of its own at the end, or not at all. */
export function stream(deltas: readonly JsonObject[], finish = "stop", usage: "running" | "final" | "none" = "running") {
  const counted = { usage: { prompt_tokens: 20, completion_tokens: 8 } };
  const chunks: JsonObject[] = [...deltas, {}].map((delta, index) => ({
    choices: [{ index: 0, delta, finish_reason: index === deltas.length ? finish : null }],
    ...(usage === "running" && counted),
  }));
  if (usage !== "none") chunks.push({ choices: [], ...counted });
  return { status: 200, text: `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")}data: [DONE]\n\n` };
}

export function refusal(message: string, status = 400): EngineReply {
  return { status, text: JSON.stringify({ error: { message, type: "BadRequestError", param: null, code: status } }) };
}

export const NOT_FOUND: EngineReply = { status: 404, text: '{"detail":"Not Found"}' };

/** Answers chats with `chat`, other paths with `others`, and knows of nothing else. */
export function played(
  chat: (body: JsonObject) => EngineReply,
  others: Record<string, (body: JsonObject) => EngineReply> = {},
): AskEngine {
  return (path, body = {}) =>
    Promise.resolve(path === "/v1/chat/completions" ? chat(body) : (others[path]?.(body) ?? NOT_FOUND));
}

/** An engine that renders: each character is a token. */
export function rendering(template: (body: JsonObject) => string): Record<string, (body: JsonObject) => EngineReply> {
  return {
    "/tokenize": (body) => {
      const tokens = [...template(body)].map((character) => character.codePointAt(0));
      return { status: 200, text: JSON.stringify({ count: tokens.length, tokens }) };
    },
    "/detokenize": ({ tokens }) => ({
      status: 200,
      text: JSON.stringify({ prompt: String.fromCodePoint(...(tokens as number[])) }),
    }),
  };
}
