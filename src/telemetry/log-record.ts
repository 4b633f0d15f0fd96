/**
 * What may be logged. Prompts, answers and keys stay out by construction: a line is a RequestLog or flat fields, and neither
 * has room for a body, a header, or an error with its stack.
 */

/** One finished request, as its usage row has it. Times in milliseconds; null where there is nothing to say. */
export type RequestLog = {
  requestId: string;
  wire: string;
  tenant: string;
  /** The key's name, never the key. */
  key: string;
  /** The served model, and the name that the client asked for. */
  model: string;
  requestedModel: string;
  engine: string | null;
  session: string | null;
  agent: string | null;
  streamed: boolean;
  outcome: string;
  finishReason: string | null;
  /** The code only: an engine's own words may quote the prompt. */
  errorCode: string | null;
  inputUncached: number;
  cacheRead: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
  countedBy: string;
  firstTokenMs: number | null;
  durationMs: number;
  repeatOf: string | null;
  prefixBreak: string | null;
};

/** Anything else that happens: flat, with the request's id where there is one. */
export type LogFields = {
  readonly requestId?: string;
  readonly [name: string]: string | number | boolean | readonly string[] | null | undefined;
};

export type Logger = {
  /** One line a request; a warning where it did not end well. */
  request(entry: RequestLog): void;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
};

export type LogLevel = "debug" | "info" | "warn" | "error";

/** The level of a request's line. A client that leaves is nobody's fault. */
export function requestLevel({ outcome }: RequestLog): "info" | "warn" {
  return outcome === "ok" || outcome === "client_gone" ? "info" : "warn";
}
