/**
 * Recovers tool calls that a model wrote as text, while the text streams. Text is held back only while it could still be
 * (part of) a call; what turns out to be none is given out as it came.
 *
 * A call with a mark of some dialect counts wherever it stands outside of quotes. One without any mark counts where the
 * message begins with it, or where nothing but calls follows to the message's end: until then it is pending.
 */
import { type ByteText, asByteText } from "../conversation/byte-text.ts";
import { CallPlaces } from "./call-places.ts";
import { type CallBehind, closingStep } from "./closing-place.ts";
import type { CallVocabulary } from "./declared-tool.ts";
import { readExact } from "../base/exact-json.ts";
import { type PlacedReading, readCall } from "./read-call.ts";
import type { FoundCall, RepairKind } from "./reading.ts";
import { markAt, markBegins, skipSpace } from "./tokens.ts";

export { CallVocabulary, type DeclaredTool } from "./declared-tool.ts";
export type { RepairKind } from "./reading.ts";

export type RecoveredPiece =
  | { type: "text" | "reasoning"; text: ByteText }
  /** `whole`: the model wrote it to its end, for all that can be told. */
  | { type: "call"; name: string; arguments: ByteText; repair: RepairKind; whole: boolean };

type Channel = "text" | "reasoning";

/** Bytes that may be held back; more is given out as it is. */
const MOST_HELD = 1_000_000;
/** Times that each byte may be read again before recovery gives up on an answer that seems made to cost time. */
const MOST_REREAD = 100;
/** Times that one candidate is read again because it seems to close, beyond what is cheap. */
const MOST_CLOSINGS = 100;
const CLOSES = /<\/\w*:?(?:tool_call|function|invoke)|[^\s]\|>|\}\s*\}\s*$/;
const FREE_WORK = 20_000_000;

/** Pieces that count only if the message ends with them. */
type Pending = {
  raw: string;
  pieces: RecoveredPiece[];
  endsWithCall: boolean;
  /** Where the last call ends in `raw`. */
  callEnd: number;
};

/** Bytes of other text between two of them: behind more, they were examples, and a reader has waited long enough. */
const LONGEST_BETWEEN = 2_000;

export class CallRecovery {
  readonly #vocabulary: CallVocabulary;
  #channel: Channel = "text";
  #buffer = "";
  /** The buffer begins with what may be a call. */
  #candidate = false;
  #until = "";
  #out: RecoveredPiece[] = [];
  #pending: Pending | undefined;

  readonly #places: CallPlaces;
  #lineStart = false;
  #last = "";
  /** Nothing but calls since the message began, or since a call that counts. */
  #clear = true;
  /** A call was made of this channel's text. */
  #called = false;
  /** Right behind a call. */
  #behind: CallBehind | undefined;
  /** In a mark's place still: what follows a call there is another. */
  #inside = false;
  /** White space behind a call: the next text's, or nobody's. */
  #gap = "";
  #thinking = false;
  /** The model went on past its turn's end: nothing of that is its answer. */
  #over = false;
  /** Nothing is looked for any more. */
  #off = false;
  /** The text was cut, and what is read now is all that came. */
  #cut = false;
  #seen = 0;
  #work = 0;
  #tried = 0;
  #closings = 0;
  /** The text's last characters: the buffer itself is only put together when it is read. */
  #recent = "";
  readonly #inReasoning = new Map<string, number>();

  constructor(tools: CallVocabulary) {
    this.#vocabulary = tools;
    this.#places = new CallPlaces(tools);
    this.#off = tools.tools.length === 0;
  }

  /** Bytes held back. */
  get memory(): number {
    return this.#buffer.length + this.#gap.length + 2 * (this.#pending?.raw.length ?? 0);
  }

  /**
   * Whether a piece may go on as it is: more of a line of text in which no call can begin, while nothing is held back. Only a short way for
   * what nearly all pieces are; false says nothing, and `push` does the same.
   */
  passes(channel: Channel, piece: ByteText): boolean {
    const held = this.#buffer !== "" || this.#gap !== "" || this.#pending !== undefined || this.#behind !== undefined;
    if (channel !== this.#channel || piece === "" || held || this.#over || !this.#places.isPlain(piece)) return false;
    this.#last = piece.charAt(piece.length - 1);
    this.#seen += piece.length;
    return true;
  }

  push(channel: Channel, piece: ByteText): RecoveredPiece[] {
    this.#out = [];
    if (piece === "") return this.#out;
    if (channel !== this.#channel) {
      this.#finish(false);
      this.#channel = channel;
      this.#begin();
    }
    this.#seen += piece.length;
    this.#recent = piece.length < 24 ? (this.#recent + piece).slice(-24) : piece.slice(-24);
    this.#buffer = this.#buffer === "" ? piece : this.#buffer + piece;
    if (!this.#candidate || this.#until === "" || piece.includes(this.#until)) this.#run(false, false);
    if (this.memory > MOST_HELD) this.#giveUp();
    return this.#out;
  }

  end(cut: boolean): RecoveredPiece[] {
    this.#out = [];
    this.#finish(cut);
    return this.#out;
  }

  /** A channel's text begins. A draft of a call in reasoning counts only where the reasoning ends with it. */
  #begin(): void {
    this.#places.begin();
    this.#lineStart = false;
    this.#last = "";
    this.#clear = this.#channel === "text";
    this.#behind = undefined;
    this.#thinking = false;
    this.#inside = false;
    this.#called = false;
    this.#over = false;
  }

  #finish(cut: boolean): void {
    this.#cut = cut;
    this.#run(true, cut);
    this.#gap = "";
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) return;
    if (!pending.endsWithCall) {
      this.#text(pending.raw);
      return;
    }
    for (const piece of pending.pieces) {
      if (piece.type === "call") this.#call(piece);
      else this.#text(piece.text);
    }
  }

  #giveUp(): void {
    this.#off = true;
    this.#givePendingBack();
    this.#text(this.#gap + this.#take(this.#buffer.length));
    this.#gap = "";
    this.#candidate = false;
  }

  #run(final: boolean, cut: boolean): void {
    while (this.#buffer !== "") {
      if (this.#off) {
        this.#show(this.#buffer.length);
        return;
      }
      if (this.#over) {
        this.#take(this.#buffer.length);
        return;
      }
      if (this.#behind !== undefined && !this.#skipClosing(this.#behind, final)) return;
      if (this.#buffer === "") return;
      if (this.#over) continue;
      if (!this.#candidate && !this.#scan()) return;
      if (!this.#affordable(final)) return;
      if (!this.#try(final, cut)) return;
    }
  }

  /** Bounds what reading a growing text again and again may cost; the end of the answer reads it once more in any case. */
  #affordable(final: boolean): boolean {
    const length = this.#buffer.length;
    if (this.#work > MOST_REREAD * this.#seen + FREE_WORK) {
      this.#giveUp();
      return false;
    }
    const dear = this.#work > (MOST_REREAD / 4) * this.#seen + FREE_WORK / 4;
    if (!final && dear && length < this.#tried * 1.25) {
      // Long calls are read again rarely, but where one seems to close.
      if (this.#closings >= MOST_CLOSINGS || !CLOSES.test(this.#recent)) return false;
      this.#closings++;
    }
    this.#tried = length;
    this.#work += length;
    return true;
  }

  /** Reads the candidate; false when more text must come first. */
  #try(final: boolean, cut: boolean): boolean {
    const reading = this.#read(final, cut);
    if (reading.state === "more") {
      this.#until = reading.until;
      return false;
    }
    this.#candidate = false;
    this.#until = "";
    this.#tried = 0;
    this.#closings = 0;
    // An opening mark behind a call, where nothing follows any more, was meant to close.
    if (reading.state === "no" && final && this.#clear && this.#called && onlyMarks(this.#buffer)) {
      this.#take(this.#buffer.length);
    } else if (reading.state === "no") this.#release(reading.end ?? 1);
    else this.#found(reading);
    return true;
  }

  #read(final: boolean, cut: boolean): PlacedReading {
    // In backticks, a mark is quoted.
    if (this.#last === "`" && !this.#lineStart) {
      const mark = markAt(this.#buffer, 0);
      if (mark === undefined && !final && markBegins(this.#buffer, 0)) return { state: "more", until: "" };
      return { state: "no", end: mark?.end ?? 1 };
    }
    return readCall(this.#buffer, 0, {
      vocabulary: this.#vocabulary,
      final,
      cut,
      marked: this.#inside,
      lineStart: this.#lineStart,
    });
  }

  #release(length: number): void {
    if (this.#lineStart && this.#buffer.startsWith("```")) {
      this.#show(3);
      this.#places.openBlock();
      return;
    }
    const shown = this.#buffer.slice(0, Math.max(1, length));
    if (shown.includes("<think")) this.#thinking = true;
    this.#show(Math.max(1, length));
  }

  #found(reading: Extract<PlacedReading, { state: "calls" }>): void {
    const { calls, end, marked = false, dangling = 0 } = reading;
    // A block of code counts like a call without marks: it may be an example.
    const isMarked = reading.fenced !== true && (marked || calls.some(({ repair }) => repair === "dialect"));
    if (isMarked) this.#givePendingBack();
    else if (!this.#clear) this.#pending ??= { raw: "", pieces: [], endsWithCall: true, callEnd: 0 };
    const head = this.#buffer.slice(0, this.#buffer.indexOf("{"));
    const fenced = isMarked && head.length < end && head.includes("```");
    this.#take(end);
    this.#gap = "";
    for (const call of calls) {
      const piece = { type: "call", ...call, whole: !this.#cut } as const;
      if (this.#pending === undefined) this.#call(piece);
      else this.#pending.pieces.push(piece);
    }
    if (this.#pending === undefined) {
      this.#clear = true;
      this.#called = true;
    } else {
      this.#pending.endsWithCall = true;
      this.#pending.callEnd = this.#pending.raw.length;
    }
    this.#behind = { marked: isMarked, dangling, adjacent: true, fenced, open: isMarked };
    this.#inside = false;
    this.#last = "";
  }

  /** Goes over what closes a call's place; false when more text must come first. */
  #skipClosing(behind: CallBehind, final: boolean): boolean {
    for (;;) {
      const { go, take } = closingStep(this.#buffer, behind, { final, thinking: this.#thinking });
      const taken = this.#take(take);
      if (go === "on") continue;
      if (go === "wait") return false;
      this.#behind = undefined;
      if (go === "turn-end") this.#over = true;
      else {
        this.#gap = taken;
        this.#inside = behind.open;
        this.#places.beginLine();
        this.#lineStart = false;
      }
      return true;
    }
  }

  /** Gives out text up to what may be a call; false when all of it is given out. */
  #scan(): boolean {
    const at = this.#places.find(this.#buffer);
    if (at < 0) this.#showAll(this.#buffer.length);
    else {
      if (at > 0) this.#showAll(at);
      this.#candidate = true;
      this.#lineStart = this.#places.lineStart;
    }
    return at >= 0;
  }

  /** Gives out the buffer's first bytes, of which scanning has already seen the lines. */
  #showAll(length: number): void {
    this.#text(this.#gap + this.#take(length));
    this.#gap = "";
  }

  /** Gives out the buffer's first bytes as text. */
  #show(length: number): void {
    const shown = this.#take(length);
    this.#places.pass(shown);
    this.#text(this.#gap + shown);
    this.#gap = "";
  }

  #take(length: number): string {
    const taken = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    if (this.#pending !== undefined) this.#pending.raw += taken;
    return taken;
  }

  #text(text: string): void {
    if (text === "") return;
    this.#inside = false;
    this.#last = text.charAt(text.length - 1);
    const solid = this.#clear || this.#pending?.endsWithCall === true ? /\S/.test(text) : true;
    if (solid) this.#clear = false;
    const pending = this.#pending;
    if (pending !== undefined && solid) {
      pending.endsWithCall = false;
      if (pending.raw.length - pending.callEnd > LONGEST_BETWEEN) {
        this.#givePendingBack();
        return;
      }
    }
    const out = pending?.pieces ?? this.#out;
    const last = out.at(-1);
    if (last?.type === this.#channel) last.text = asByteText(last.text + text);
    else out.push({ type: this.#channel, text: asByteText(text) });
  }

  #givePendingBack(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) this.#text(pending.raw);
  }

  /** A call that stands in reasoning and in the text is one. */
  #call(call: FoundCall & { type: "call"; whole: boolean }): void {
    const key = `${call.name}\n${JSON.stringify(readExact(call.arguments))}`;
    const twins = this.#inReasoning.get(key) ?? 0;
    if (this.#channel === "reasoning") this.#inReasoning.set(key, twins + 1);
    else if (twins > 0) {
      this.#inReasoning.set(key, twins - 1);
      return;
    }
    this.#out.push(call);
  }
}

function onlyMarks(text: string): boolean {
  let at = skipSpace(text, 0);
  for (let mark = markAt(text, at); mark !== undefined; mark = markAt(text, at)) at = skipSpace(text, mark.end);
  return at > 0 && at === text.length;
}
