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

export class StopMatcher {
  readonly #stops: readonly { text: string; bytes: ByteText }[];
  readonly #longest: number;
  #held = asByteText("");

  /** Empty sequences are none. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((text) => text !== "").map((text) => ({ text, bytes: toByteText(text) }));
    this.#longest = this.#stops.reduce((longest, { bytes }) => Math.max(longest, bytes.length), 0);
  }

  /** Takes the next piece. After a match the matcher is not to be used any more. */
  push(piece: ByteText): StopMatch {
    const text = asByteText(this.#held + piece);
    let first = -1;
    let stop: string | undefined;
    for (const each of this.#stops) {
      const at = text.indexOf(each.bytes);
      if (at >= 0 && (first < 0 || at < first)) {
        first = at;
        stop = each.text;
      }
    }
    if (stop !== undefined) return { text: asByteText(text.slice(0, first)), stop };
    const held = this.#beginning(text);
    this.#held = asByteText(text.slice(text.length - held));
    return { text: asByteText(text.slice(0, text.length - held)), stop: undefined };
  }

  /** What was held back, when something other than text follows, or nothing. */
  flush(): ByteText {
    const held = this.#held;
    this.#held = asByteText("");
    return held;
  }

  /** Length of the text's longest end with which a stop sequence begins. */
  #beginning(text: ByteText): number {
    for (let length = Math.min(this.#longest - 1, text.length); length > 0; length--) {
      const end = text.slice(text.length - length);
      if (this.#stops.some(({ bytes }) => bytes.startsWith(end))) return length;
    }
    return 0;
  }
}
