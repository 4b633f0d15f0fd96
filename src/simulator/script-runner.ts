/** Which answer a script gives to a request, and how often it has given it. */
import type { ChatBody } from "./chat-body.ts";
import { isObject } from "./chat-body.ts";
import type { JsonObject, Match, Rule, Script, ScriptRequest, Turn } from "./script.ts";

/** Conversations whose attempts are counted; the oldest are forgotten. */
const MOST_CONVERSATIONS = 10_000;

export type ScriptRunner = {
  /** The answer to a request; undefined where the script has none. */
  answer(request: ScriptRequest): Turn | undefined;
  /** Replaces the script, and forgets what the old one counted. */
  set(script: Script | undefined): void;
  /** Answers to the next requests, in their order, before the script is asked. */
  next(...turns: Turn[]): void;
  /** How often this conversation has come, this time included. */
  attempt(conversation: number): number;
};

export function createScriptRunner(script: Script | undefined): ScriptRunner {
  let current = script;
  let uses = new Map<Rule, number>();
  const queued: Turn[] = [];
  const attempts = new Map<number, number>();
  return {
    answer(request) {
      const next = queued.shift();
      if (next) return next;
      if (typeof current === "function") return current(request);
      for (const rule of current ?? []) {
        const used = uses.get(rule) ?? 0;
        if (used >= (rule.times ?? Number.POSITIVE_INFINITY) || !matches(rule.when ?? {}, request)) continue;
        uses.set(rule, used + 1);
        const answers = Array.isArray(rule.answer) ? (rule.answer as readonly Turn[]) : [rule.answer as Turn];
        return answers[Math.min(used, answers.length - 1)];
      }
      return undefined;
    },
    set(script) {
      current = script;
      uses = new Map();
    },
    next: (...turns) => void queued.push(...turns),
    attempt(conversation) {
      const count = (attempts.get(conversation) ?? 0) + 1;
      attempts.delete(conversation);
      attempts.set(conversation, count);
      const oldest = attempts.keys().next();
      if (attempts.size > MOST_CONVERSATIONS && !oldest.done) attempts.delete(oldest.value);
      return count;
    },
  };
}

/** What a script may know of a request. */
export function scriptRequest(
  body: ChatBody,
  headers: ScriptRequest["headers"],
  model: string,
  attempt: number,
): ScriptRequest {
  const { messages } = body;
  const ofRole = (role: string): number => messages.filter((message) => message["role"] === role).length;
  const lastUser = messages.findLastIndex(({ role }) => role === "user");
  const last = messages.at(-1);
  return {
    model,
    messages,
    tools: body.tools,
    stream: body.stream,
    turn: ofRole("assistant") + 1,
    attempt,
    toolResults: ofRole("tool"),
    toolResultsSinceUser: messages.slice(lastUser + 1).filter(({ role }) => role === "tool").length,
    lastRole: String(last?.["role"]),
    userText: messageText(messages[lastUser]),
    lastText: messageText(last),
    responseFormat: typeof body.responseFormat?.["type"] === "string" ? body.responseFormat["type"] : undefined,
    body: body.raw,
    headers,
  };
}

export function messageText(message: JsonObject | undefined): string {
  const content = message?.["content"];
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: unknown) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : ""))
    .join("\n");
}

function matches(when: Match, request: ScriptRequest): boolean {
  const same = <T>(wanted: T | undefined, is: T): boolean => wanted === undefined || wanted === is;
  const found = (pattern: string | RegExp | undefined, text: string): boolean =>
    pattern === undefined || text.search(pattern) >= 0;
  return (
    same(when.turn, request.turn) &&
    same(when.attempt, request.attempt) &&
    same(when.toolResults, request.toolResults) &&
    same(when.toolResultsSinceUser, request.toolResultsSinceUser) &&
    same<string>(when.lastRole, request.lastRole) &&
    same(when.stream, request.stream) &&
    found(when.userText, request.userText) &&
    found(when.model, request.model) &&
    (typeof when.tools === "string"
      ? request.tools.some(({ name }) => name === when.tools)
      : same(when.tools, request.tools.length > 0)) &&
    (typeof when.responseFormat === "string"
      ? request.responseFormat === when.responseFormat
      : same(when.responseFormat, request.responseFormat?.startsWith("json") === true))
  );
}
