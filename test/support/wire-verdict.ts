/** What a strict reader makes of a whole stream: the same form for both wires, so that tests ask both the same questions. */

export type StreamCall = { id: string; name: string; arguments: string };

export type Verdict = {
  /** Every breach of the wire's grammar; empty for a valid stream. */
  problems: string[];
  /** `cut`: neither finish nor error, which a client takes for a broken connection at best. */
  end: "finish" | "error" | "cut";
  text: string;
  reasoning: string;
  calls: StreamCall[];
  /** Arguments that are not JSON: what a model wrote wrongly, or what a limit cut off. */
  malformed: string[];
  /** The wire's own word for why it ended; undefined unless `end` is `finish`. */
  reason: string | undefined;
  /** The error object of an `error` end. */
  error: { type: string; message: string } | undefined;
  /** Signs of life: ping events or comments. */
  pings: number;
  /** Prompt tokens at the stream's start, where the wire says them, and at its end. */
  promptAtStart: number | undefined;
  promptAtEnd: number | undefined;
  output: number | undefined;
};

export function emptyVerdict(problems: string[]): Verdict {
  return {
    problems,
    end: "cut",
    text: "",
    reasoning: "",
    calls: [],
    malformed: [],
    reason: undefined,
    error: undefined,
    pings: 0,
    promptAtStart: undefined,
    promptAtEnd: undefined,
    output: undefined,
  };
}

export type Json = { [key: string]: unknown };

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
