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

/** A place in the text from which on `length` bytes are those of the sequences `from` to `to`, and none of these is complete. */
type Beginning = { from: number; to: number; length: number };

export class StopMatcher {
  /** In the order of their bytes: all that begin alike stand together, the shortest first. A client may send thousands. */
  readonly #stops: readonly Stop[];
  /** In the order of their places; the first is where the text ends that may be shown. */
  #beginnings: Beginning[] = [];
  readonly #firstBytes: ReadonlySet<number>;
  #held = asByteText("");

  /** Empty sequences are none. */
  constructor(stops: readonly string[]) {
    this.#stops = stops
      .filter((text) => text !== "")
      .map((text) => ({ text, bytes: toByteText(text) }))
      .sort((a, b) => (a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : 0));
    this.#firstBytes = new Set(this.#stops.map(({ bytes }) => bytes.charCodeAt(0)));
  }

  /**
   * Takes the next piece. The sequence that is complete first ends the text, of two that are complete together the longer one, however
   * the text is cut into pieces. After a match the matcher is not to be used any more.
   */
  push(piece: ByteText): StopMatch {
    const text = asByteText(this.#held + piece);
    for (let at = this.#held.length; at < text.length; at++) {
      const found = this.#next(text.charCodeAt(at));
      if (found !== undefined)
        return { text: asByteText(text.slice(0, at + 1 - found.bytes.length)), stop: found.text };
    }
    const open = text.length - (this.#beginnings[0]?.length ?? 0);
    this.#held = asByteText(text.slice(open));
    return { text: asByteText(text.slice(0, open)), stop: undefined };
  }

  /** What was held back, when something other than text follows, or nothing. */
  flush(): ByteText {
    const held = this.#held;
    this.#held = asByteText("");
    this.#beginnings = [];
    return held;
  }

  /** The longest sequence that this byte makes complete. */
  #next(byte: number): Stop | undefined {
    const going = this.#beginnings;
    // Few bytes begin any: for the others there is nothing to do.
    if (this.#firstBytes.has(byte)) going.push({ from: 0, to: this.#stops.length, length: 0 });
    let kept = 0;
    for (const beginning of going) {
      const { from, to, length } = beginning;
      beginning.from = this.#firstFrom(byte, length, from, to);
      beginning.to = this.#firstFrom(byte + 1, length, beginning.from, to);
      beginning.length = length + 1;
      if (beginning.from === beginning.to) continue;
      const shortest = this.#stops[beginning.from] as Stop;
      if (shortest.bytes.length === beginning.length) return shortest;
      going[kept++] = beginning;
    }
    going.length = kept;
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
