/** Tells, piece by piece, when a JSON object's last brace has come; used to see where one tool call's arguments end. */

const QUOTE = 34;
const BACKSLASH = 92;

export class JsonBalance {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #begun = false;

  /** Whether an object has begun and all of its brackets are closed. */
  get complete(): boolean {
    return this.#begun && this.#depth === 0;
  }

  /** Takes the next piece; returns the offset just behind the closing brace when it is in this piece, else its length. */
  push(text: string): number {
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === BACKSLASH) this.#escaped = true;
        else if (char === QUOTE) this.#inString = false;
      } else if (char === QUOTE) {
        this.#inString = true;
      } else if (char === 123 || char === 91) {
        this.#begun = true;
        this.#depth++;
      } else if (char === 125 || char === 93) {
        if (this.#depth > 0 && --this.#depth === 0) return i + 1;
      }
    }
    return text.length;
  }
}
