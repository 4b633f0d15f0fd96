/** The session that clients play in fault tests: run a command, write proof.txt, read it, report, with one fault in its second turn. */
import { agentSession } from "../../src/simulator/scripts/agent-session.ts";
import type { Fault, ScriptRequest, Turn } from "../../src/simulator/script.ts";
import type { EventRow } from "./client-stand.ts";

export const PROOF = 'sum=42 "quoted" äöü 漢字\n';
export const PROMPT = "Compute 40+2 and write it to proof.txt";

/** Chunks of an answer after which a fault is in the middle of its text, or (the text left out) of its call's arguments. */
export const IN_TEXT = 3;
export const IN_ARGUMENTS = 9;
/** As IN_ARGUMENTS, in an answer that has its text before the call. */
export const IN_ARGUMENTS_AFTER_TEXT = 16;

export type FaultySession = {
  fault: Fault | readonly Fault[];
  /** Leave the text before the call out of the faulty answer. */
  silent?: boolean;
  /** Answers that fail: one unless said otherwise. */
  times?: number;
  /** Where proof.txt goes, for a client whose system prompt does not say where it works. */
  directory?: string;
  /** Reasoning before each answer, the faulty one too. */
  reasoning?: string;
};

/** What Claude Code asks when it compacts; it sends the tools with it. */
const COMPACTION = /create a detailed summary/i;

/** Works for one session at a time. */
export function faultySession({ fault, silent = false, times = 1, directory, reasoning }: FaultySession) {
  const session = agentSession({
    file: "proof.txt",
    content: PROOF,
    command: "echo sum=$((40+2))",
    ...(directory !== undefined && { directory }),
    ...(reasoning !== undefined && { reasoning }),
  });
  let left = times;
  return (request: ScriptRequest): Turn | undefined => {
    if (COMPACTION.test(request.lastText)) return { text: "<summary>A sum is to be written to proof.txt.</summary>" };
    const turn = session(request);
    if (turn === undefined || request.toolResults !== 1 || left === 0) return turn;
    left--;
    const { text, ...rest } = turn;
    return { ...rest, ...(!silent && text !== undefined && { text }), fault };
  };
}

/** vLLM's words for a prompt that does not fit, and for an answer that does not. */
export const PROMPT_OVERFLOW = refusal(
  "This model's maximum context length is 150000 tokens. However, your request has 170000 input tokens. " +
    "Please reduce the length of the input messages.",
);
export const ANSWER_OVERFLOW = refusal(
  "'max_tokens' or 'max_completion_tokens' is too large: 18750. This model's maximum context length is 150000 tokens and " +
    "your request has 140000 input tokens (18750 > 150000 - 140000).",
);

function refusal(message: string): Fault {
  return { kind: "http", status: 400, body: { error: { message, type: "BadRequestError", param: null, code: 400 } } };
}

/** Rows in short: how each request ended, and which earlier one it repeats, counted from 1. */
export function story(rows: readonly EventRow[]): string[] {
  return rows.map(({ outcome, error_code, repeat_of, streamed }) => {
    const end = error_code === null ? outcome : `${outcome}: ${error_code}`;
    const repeats = repeat_of === null ? "" : ` (repeats ${rows.findIndex((row) => row.request_id === repeat_of) + 1})`;
    return `${streamed ? "" : "whole "}${end}${repeats}`;
  });
}
