/** What the simulated engine remembers of the requests that it got, for tests to look at. */
import type { JsonObject } from "./script.ts";

export type Outcome =
  | "pending"
  /** Answered to the end. */
  | "finished"
  /** Answered with an HTTP error of the engine's own checks. */
  | "refused"
  /** Ended by a scripted fault. */
  | "faulted"
  /** The client left. */
  | "aborted"
  | "engine-dead";

export type RecordedRequest = {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The JSON body; undefined without one, or where it was not JSON. */
  body: JsonObject | undefined;
  /** The rendered prompt of a chat request. */
  prompt: string | undefined;
  /** HTTP status; 0 until a head is sent. */
  status: number;
  outcome: Outcome;
  /** How far it came. */
  phase: "checking" | "waiting" | "prefill" | "decode" | "done";
  promptTokens: number;
  cachedTokens: number;
  /** Generated so far. */
  completionTokens: number;
  /** Events of the stream so far, `[DONE]` not counted. */
  chunks: number;
};

export function createRecord(method: string, path: string, headers: RecordedRequest["headers"]): RecordedRequest {
  return {
    method,
    path,
    headers,
    body: undefined,
    prompt: undefined,
    status: 0,
    outcome: "pending",
    phase: "checking",
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    chunks: 0,
  };
}

/** Counts over the engine's life. */
export type Counters = {
  received: number;
  finished: number;
  refused: number;
  faulted: number;
  engineDead: number;
  /** Requests whose client left, and how far they had come. */
  aborted: number;
  abortedWaiting: number;
  abortedBeforeFirstToken: number;
  abortedMidStream: number;
  /** Of `aborted`: those that did not stream. */
  abortedNonStreaming: number;
};

export function createCounters(): Counters {
  return {
    received: 0,
    finished: 0,
    refused: 0,
    faulted: 0,
    engineDead: 0,
    aborted: 0,
    abortedWaiting: 0,
    abortedBeforeFirstToken: 0,
    abortedMidStream: 0,
    abortedNonStreaming: 0,
  };
}

export function countOutcome(counters: Counters, record: RecordedRequest): void {
  switch (record.outcome) {
    case "finished":
    case "refused":
    case "faulted":
      counters[record.outcome]++;
      break;
    case "engine-dead":
      counters.engineDead++;
      break;
    case "aborted":
      counters.aborted++;
      if (record.phase === "checking" || record.phase === "waiting") counters.abortedWaiting++;
      else if (record.completionTokens === 0) counters.abortedBeforeFirstToken++;
      else counters.abortedMidStream++;
      if (record.body?.["stream"] !== true) counters.abortedNonStreaming++;
      break;
    case "pending":
      throw new Error("a request was left without an outcome");
  }
}
