/**
 * Finds a client's stop sequences in the text that the client will see. Engines look for them in everything that a model
 * writes: a sequence in its reasoning, or in a call's arguments, would end the answer before it began. See decisions/0085.
 */
import { type ByteText, asByteText, toByteText } from "../conversation/byte-text.ts";

export type StopMatch = {
  /** What may be shown now: nothing in it can belong to a stop sequence any more. */
  text: ByteText;
  /** The sequence that ended the text, if one did. */
  stop: string | undefined;
};

type Stop = { text: string; bytes: ByteText };

export class StopMatcher {
  /** In the order of their bytes: all that begin alike stand together, the shortest first. */
  readonly #stops: readonly Stop[];
  #held = asByteText("");

  /** Empty sequences are none. */
  constructor(stops: readonly string[]) {
    this.#stops = stops
      .filter((text) => text !== "")
      .map((text) => ({ text, bytes: toByteText(text) }))
      .sort((a, b) => (a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : 0));
  }

  /**
   * Takes the next piece. The sequence that is complete first ends the text, of two that are complete together the longer one, however
   * the text is cut into pieces. After a match the matcher is not to be used any more.
   */
  push(piece: ByteText): StopMatch {
    const text = asByteText(this.#held + piece);
    let stop: string | undefined;
    let start = text.length;
    let end = text.length + 1;
    let open = text.length;
    for (let at = 0; at < Math.min(end, text.length); at++) {
      const found = this.#beginsAt(text, at);
      if (found === "perhaps") open = Math.min(open, at);
      else if (found !== undefined && at + found.bytes.length < end) {
        stop = found.text;
        start = at;
        end = at + found.bytes.length;
      }
    }
    if (stop !== undefined) return { text: asByteText(text.slice(0, start)), stop };
    this.#held = asByteText(text.slice(open));
    return { text: asByteText(text.slice(0, open)), stop: undefined };
  }

  /** What was held back, when something other than text follows, or nothing. */
  flush(): ByteText {
    const held = this.#held;
    this.#held = asByteText("");
    return held;
  }

  /** The shortest sequence that stands there; `perhaps`: the text ends before it is known. A client may have sent thousands. */
  #beginsAt(text: ByteText, at: number): Stop | "perhaps" | undefined {
    let from = 0;
    let to = this.#stops.length;
    for (let length = 0; from < to; length++) {
      const first = this.#stops[from] as Stop;
      if (first.bytes.length === length) return first;
      if (at + length === text.length) return "perhaps";
      const byte = text.charCodeAt(at + length);
      from = this.#firstFrom(byte, length, from, to);
      to = this.#firstFrom(byte + 1, length, from, to);
    }
    return undefined;
  }

  /** The first of these sequences, alike until `place`, whose byte there is at least this one. */
  #firstFrom(byte: number, place: number, from: number, to: number): number {
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#stops[middle] as Stop).bytes.charCodeAt(place) < byte) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
