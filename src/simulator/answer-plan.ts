/**
 * An answer as the engine will generate it, token by token: what each token adds to the stream, and what the whole is.
 *
 * Made before the first token, so that streaming costs next to nothing, and so that both ways of answering (stream or not)
 * are the same answer. Texts of deltas are JSON in latin1 strings that hold UTF-8 bytes: ready for the socket.
 */
import { byteJson, escapedJson } from "./byte-json.ts";
import { normalArguments, writtenCall, writtenReasoning } from "./chat-template.ts";
import { parseWritten } from "./parse-written.ts";
import { argumentPieces, joined, type Piece, pieces, tokenPieces, wholeCharacters } from "./pieces.ts";
import type { FinishReason, ScriptedCall, Turn } from "./script.ts";
import { tokenTexts } from "./tokenizer.ts";

/** One chunk of the stream. `tokens` and `reasoning` count from the answer's start to this chunk. */
export type Frame = {
  /** The delta object as JSON. */
  delta: string;
  tokens: number;
  reasoning: number;
};

export type Plan = {
  frames: Frame[];
  /** Each frame's text is written when it is sent: its number and the time (see directive.ts). */
  stamped?: boolean;
  finish: FinishReason;
  stopReason: string | number | null;
  /** Whether the last frame is that of the last token and carries the finish reason; else a chunk of its own does. */
  finishOnLastFrame: boolean;
  tokens: number;
  reasoningTokens: number;
  content: string | null;
  reasoning: string | null;
  calls: { id: string; name: string; arguments: string }[];
  /** All that the model wrote, as the next prompt will repeat it. */
  written: string;
};

export type PlanContext = {
  maxTokens: number;
  stop: readonly string[];
  includeStop: boolean;
  /** Whether the engine reads tool calls out of what the model writes, for this request. */
  parsesCalls: boolean;
  parsesReasoning: boolean;
  /** A named tool choice: vLLM then finishes with `stop`, and has an empty content instead of none. */
  forcedCall: "none" | "named" | "required";
  nextId: () => string;
};

export function planAnswer(turn: Turn, context: PlanContext): Plan {
  const parts = turn.raw === undefined ? turn : parseWritten(turn.raw, context);
  const field = turn.oldReasoningField ? "reasoning_content" : "reasoning";
  const encode = turn.escapes ? escapedJson : byteJson;
  const answer = createAnswer(context);

  const reasoning = pieces(parts.reasoning);
  if (reasoning.length > 0) {
    if (context.parsesReasoning) {
      answer.opened("<think>\n");
      answer.stream("reasoning", reasoning, (text) => `{"${field}":${encode(text)}}`);
      // A model that writes nothing after its thinking has not closed it.
      if (parts.text !== undefined || parts.calls !== undefined) answer.overhead("\n</think>\n\n");
    } else {
      const written = tokenPieces(writtenReasoning(joined(reasoning)));
      answer.stream("content", written, (text) => `{"content":${encode(text)}}`);
    }
  }
  answer.stream("content", pieces(parts.text), (text) => `{"content":${encode(text)}}`);
  for (const call of parts.calls ?? []) {
    if (context.parsesCalls) answer.call(call, turn.argumentPieces, encode);
    else answer.stream("content", tokenPieces(callAsText(call)), (text) => `{"content":${encode(text)}}`);
  }
  return answer.finish(turn);
}

function callAsText(call: ScriptedCall): string {
  const { before, after } = writtenCall(call.name);
  return before + joined(argumentPieces(call, undefined)) + after;
}

/** Builds a plan in the order of generation, and stops at the token limit or a stop sequence. */
function createAnswer(context: PlanContext) {
  const frames: Frame[] = [];
  const calls: Plan["calls"] = [];
  const texts = { content: "", reasoning: "" };
  const longestStop = Math.max(0, ...context.stop.map((stop) => stop.length));
  let written = "";
  let tokens = 0;
  let reasoningTokens = 0;
  let halted: "length" | "stop" | undefined;
  let stoppedBy: string | undefined;
  let cutCall = false;

  /** Generates tokens; false when the limit is reached before them. */
  const generate = (count: number): boolean => {
    if (halted !== undefined) return false;
    if (tokens + count > context.maxTokens) {
      tokens = context.maxTokens;
      halted = "length";
      return false;
    }
    tokens += count;
    return true;
  };

  /** The first stop sequence that ends in the last `fresh` characters. */
  const stopIn = (text: string, fresh: number): { at: number; sequence: string } | undefined => {
    let first: { at: number; sequence: string } | undefined;
    for (const sequence of context.stop) {
      const at = sequence === "" ? -1 : text.indexOf(sequence, text.length - fresh - sequence.length + 1);
      if (at >= 0 && (first === undefined || at < first.at)) first = { at, sequence };
    }
    return first;
  };

  return {
    /** Text that the template has begun the answer with: part of the conversation, but not generated. */
    opened(text: string): void {
      written += text;
    },

    /** Tokens that show in no chunk. */
    overhead(text: string): void {
      if (generate(tokenTexts(text).length)) written += text;
    },

    /** Text; what could be the beginning of a stop sequence is held back, as engines do. */
    stream(kind: "content" | "reasoning", list: readonly Piece[], delta: (text: string) => string): void {
      let seen = "";
      let shown = 0;
      const show = (end: number): void => {
        if (end <= shown) return;
        const text = seen.slice(shown, end);
        frames.push({ delta: delta(text), tokens, reasoning: reasoningTokens });
        texts[kind] += text;
        written += text;
        shown = end;
      };
      for (const piece of list) {
        if (!generate(piece.tokens)) break;
        if (kind === "reasoning") reasoningTokens += piece.tokens;
        seen += piece.text;
        const stop = longestStop > 0 ? stopIn(seen, piece.text.length) : undefined;
        if (stop) {
          halted = "stop";
          stoppedBy = stop.sequence;
          show(context.includeStop ? stop.at + stop.sequence.length : stop.at);
          return;
        }
        show(wholeCharacters(seen, seen.length - Math.max(0, longestStop - 1)));
      }
      show(seen.length);
    },

    call(call: ScriptedCall, size: number | undefined, encode: (text: string) => string): void {
      const { before, after } = writtenCall(call.name);
      const id = call.id ?? `chatcmpl-tool-${context.nextId()}`;
      const index = calls.length;
      const list = argumentPieces(call, size);
      if (!generate(tokenTexts(before).length)) return;
      const named = `"type":"function","index":${index},"function":{"name":${encode(call.name)}}`;
      frames.push({
        delta: `{"content":null,"tool_calls":[{"id":${encode(id)},${named}}]}`,
        tokens,
        reasoning: reasoningTokens,
      });
      const entry = { id, name: call.name, arguments: "" };
      calls.push(entry);
      written += before;
      for (const piece of list) {
        if (!generate(piece.tokens)) break;
        const delta = `{"content":null,"tool_calls":[{"index":${index},"function":{"arguments":${encode(piece.text)}}}]}`;
        frames.push({ delta, tokens, reasoning: reasoningTokens });
        entry.arguments += piece.text;
      }
      written += halted === undefined ? normalArguments(joined(list)) : entry.arguments;
      if (generate(tokenTexts(after).length)) written += after;
      else cutCall = true;
    },

    finish(turn: Turn): Plan {
      const ended = halted === undefined && generate(1);
      const natural: FinishReason = calls.length === 0 || context.forcedCall === "named" ? "stop" : "tool_calls";
      const content = texts.content === "" && (calls.length > 0 || texts.reasoning !== "") ? null : texts.content;
      return {
        frames,
        finish: turn.finish ?? halted ?? natural,
        stopReason: turn.stopReason ?? stoppedBy ?? null,
        finishOnLastFrame: !ended && frames.at(-1)?.tokens === tokens,
        tokens,
        reasoningTokens,
        // Without a stream, vLLM's parser only reads whole calls: one that was cut off stays text.
        content: cutCall
          ? texts.content + written.slice(written.indexOf("<tool_call>"))
          : content === null && context.forcedCall !== "none"
            ? ""
            : content,
        reasoning: texts.reasoning === "" ? null : texts.reasoning,
        calls: cutCall ? [] : calls,
        written,
      };
    },
  };
}
