/** The language in which tests and people say what the simulated engine answers. docs/simulated-engine.md explains it. */

/** A JSON object as it came. */
export type JsonObject = { [key: string]: unknown };

export type ScriptedCall = {
  name: string;
  /** An object; or JSON text (or whatever else a broken model writes) byte for byte, as a list in exactly these pieces. */
  arguments: JsonObject | string | readonly string[];
  id?: string;
};

/**
 * Where in an answer something happens: `start` is before the head of the response, `head` after it and before the first
 * chunk, a number after so many chunks that carry something (so 0 is right after the first, empty one). A number beyond the
 * answer's last chunk means before the chunk with the finish reason.
 */
export type Place = "start" | "head" | number;

export type Fault =
  /** An HTTP error instead of an answer. The body is an error object of vLLM's shape unless given. */
  | { kind: "http"; status: number; headers?: Record<string, string>; body?: JsonObject | string }
  /** The answer breaks off: the connection is reset, closed inside the chunked body, or the body ends as if complete. */
  | { kind: "cut"; after: Place; how?: "reset" | "close" | "clean" }
  /** An error object as a stream event; then `[DONE]`, unless `done` is false. */
  | { kind: "error"; after: Place; error?: JsonObject; done?: boolean }
  /** Nothing more comes, and the connection stays open. */
  | { kind: "hang"; after: Place }
  /** Nothing comes for so many milliseconds, then the answer goes on. */
  | { kind: "silence"; after: Place; ms: number }
  /** Lines that are no stream events, or not JSON. */
  | { kind: "garbage"; after: Place; lines?: readonly string[] }
  /** An event of so many bytes, with one delta of text. */
  | { kind: "huge-line"; after: Place; bytes: number }
  /** A delta whose text is not valid UTF-8. */
  | { kind: "broken-utf8"; after: Place }
  /** The engine dies for all its requests, as vLLM's engine core does; with `process`, the whole server with it. */
  | { kind: "die"; after: Place; process?: boolean };

/**
 * What a stream says of usage, whatever was asked: nothing at all; only in the last chunk; on every chunk but never in a
 * last one; the last chunk twice.
 */
export type UsageFault = "missing" | "final-only" | "running-only" | "doubled";

export const FINISH_REASONS = ["stop", "length", "tool_calls", "content_filter", "abort"] as const;
export type FinishReason = (typeof FINISH_REASONS)[number];

/** One answer. Everything absent is as a healthy vLLM would do it. */
export type Turn = {
  /** The content. A list gives the pieces of the stream exactly, each one token; text is cut into tokens. */
  text?: string | readonly string[];
  reasoning?: string | readonly string[];
  calls?: readonly ScriptedCall[];
  /** What the model wrote, to be read by the engine's own parsers (`<think>`, hermes `<tool_call>`). Instead of the three above. */
  raw?: string;
  /** Characters of a call's arguments in each chunk, where they are no list; absent: a token each. */
  argumentPieces?: number;
  finish?: FinishReason;
  stopReason?: string | number;
  usage?: UsageFault;
  /** Write everything beyond ASCII, and `/`, as `\u` escapes. */
  escapes?: boolean;
  /** The older name of the field for reasoning, `reasoning_content`. */
  oldReasoningField?: boolean;
  /** Milliseconds to the first chunk, instead of the prefill's. */
  ttft?: number;
  /** Milliseconds between chunks, instead of the decode speed. */
  delay?: number;
  /** The prompt's tokens to report, instead of their true number. */
  promptTokens?: number;
  fault?: Fault | readonly Fault[];
};

/** All that is named must hold. Text is searched with a regular expression. */
export type Match = {
  /** The conversation's n-th request, from 1: one more than the assistant messages in it. */
  turn?: number;
  /** The n-th time that this same conversation is sent, from 1: what a client's retry raises. */
  attempt?: number;
  /** Tool results in the conversation; `toolResultsSinceUser`: after the last user message. */
  toolResults?: number;
  toolResultsSinceUser?: number;
  lastRole?: "system" | "user" | "assistant" | "tool";
  userText?: string | RegExp;
  model?: string | RegExp;
  /** Whether there are tools; or the name of one that must be there. */
  tools?: boolean | string;
  /** Whether a response format asks for JSON; or which type. */
  responseFormat?: boolean | "json_object" | "json_schema";
  stream?: boolean;
};

export type Rule = {
  when?: Match;
  /** How often the rule applies at all. */
  times?: number;
  /** One answer for always, or one after the other as the rule applies; the last one stays. */
  answer: Turn | readonly Turn[];
};

/** What a script decides on. */
export type ScriptRequest = {
  readonly model: string;
  readonly messages: readonly JsonObject[];
  readonly tools: readonly ScriptTool[];
  readonly stream: boolean;
  readonly turn: number;
  readonly attempt: number;
  readonly toolResults: number;
  readonly toolResultsSinceUser: number;
  readonly lastRole: string;
  /** Text of the last user message, and of the last message of all. */
  readonly userText: string;
  readonly lastText: string;
  readonly responseFormat: string | undefined;
  /** The whole request. */
  readonly body: JsonObject;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

export type ScriptTool = { readonly name: string; readonly parameters: JsonObject };

/** Rules, of which the first that matches answers; or a function. Without an answer, the default one is given. */
export type Script = readonly Rule[] | ((request: ScriptRequest) => Turn | undefined);
