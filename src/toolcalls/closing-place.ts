/**
 * What closes a call's place in a text: marks, braces too many, the end of a code block, what stands between two calls. One step at a
 * time, because the text is still coming.
 */
import { closingTagAt, markAt, markBegins, skipSpace } from "./tokens.ts";

/** The place behind a call, as far as it is closed. */
export type CallBehind = {
  /** The call has a mark of some dialect. */
  marked: boolean;
  /** Braces and brackets that were opened before the call and are still to close. */
  dangling: number;
  /** Nothing but braces and white space since the call. */
  adjacent: boolean;
  /** A code block was opened before the call. */
  fenced: boolean;
  /** The mark's place goes on: what follows there is another call. */
  open: boolean;
};

export type ClosingStep = {
  /**
   * `on`: something closed, look again. `wait`: more text must come first. `turn-end`: the model ended its turn. `past`: what follows is
   * no part of the place any more.
   */
  go: "on" | "wait" | "turn-end" | "past";
  /** How much of the text this went over. */
  take: number;
};

const CLOSING_MARK = /^<\/|^\[\/|^\[END|end|^<\|(?:call|eo|return)|_call\|>$|suffix|^\]<\]/i;

/** Looks at the beginning of what stands behind a call, and notes in `behind` what it closes. `thinking`: a `</think>` is the text's own. */
export function closingStep(
  text: string,
  behind: CallBehind,
  { final, thinking }: { final: boolean; thinking: boolean },
): ClosingStep {
  const to = skipSpace(text, 0);
  const char = text[to];
  if (char === undefined) return { go: "wait", take: final ? to : 0 };
  const mark = markAt(text, to);
  const spelled = mark === undefined ? "" : text.slice(to, mark.end);
  const closes = CLOSING_MARK.test(spelled) && !(thinking && spelled.startsWith("</think"));
  if (mark !== undefined && mark.dangling === 0 && (closes || mark.endOfTurn)) {
    behind.adjacent = false;
    behind.open = false;
    return { go: mark.endOfTurn ? "turn-end" : "on", take: mark.end };
  }
  if ((char === "}" || char === "]") && (behind.dangling > 0 || (behind.adjacent && to === 0))) {
    if (behind.dangling > 0) behind.dangling--;
    else if (text.length < 2 && !final) return WAIT;
    return { go: "on", take: to + 1 };
  }
  if (behind.fenced && char === "`") {
    if (text.startsWith("```", to)) {
      behind.fenced = false;
      return { go: "on", take: to + 3 };
    }
    if (!final && text.length - to < 3) return WAIT;
  }
  if (!behind.marked && (char === ";" || char === ",")) {
    const next = skipSpace(text, to + 1);
    if (next >= text.length && !final) return WAIT;
    if (text[next] === "{") return { go: "on", take: next };
  }
  if (mark === undefined && markBegins(text, to)) {
    if (!final) return WAIT;
    // A closing mark that was cut closes all the same.
    if (text.startsWith("</", to)) return { go: "wait", take: text.length };
  }
  if (!behind.marked && char === "<") {
    const end = closingTagAt(text, to);
    if (end !== undefined && !(thinking && text.startsWith("</think", to))) return { go: "on", take: end };
    if (!final && text.length - to < 40 && /^<(?:\/[\w:.-]*)?$/.test(text.slice(to))) return WAIT;
  }
  return { go: "past", take: to };
}

const WAIT: ClosingStep = { go: "wait", take: 0 };
