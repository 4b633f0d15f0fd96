/**
 * Reads the count out of a tokenizer's answer without parsing it: that of a long prompt is a megabyte of token ids. vLLM
 * writes the count before the ids and SGLang after them; llama.cpp has only the ids, one comma between two.
 */
const KEPT = 512;
const COMMA = 44;
const CLOSE = 93;

export class CountReader {
  #head = "";
  #tail = "";
  #commas = 0;
  #anyId = false;
  #open = false;
  #closed = false;

  push(bytes: Buffer): void {
    let from = 0;
    if (!this.#open) {
      // `"tokens":[` stands within the head wherever there is one; ids are looked for only behind it.
      const before = this.#head.length;
      this.#head += bytes.toString("latin1", 0, KEPT);
      const start = this.#head.indexOf("[");
      if (start >= 0) {
        this.#open = true;
        from = Math.max(0, start + 1 - before);
      }
    }
    if (this.#open && !this.#closed) this.#countIds(bytes, from);
    this.#tail = (this.#tail + bytes.toString("latin1", Math.max(0, bytes.length - KEPT))).slice(-KEPT);
  }

  /** The number of tokens, or undefined for an answer of another form. Ask after the last byte. */
  get count(): number | undefined {
    const named = /"(?:count|input_tokens)" ?: ?(\d+)\s*[,}]/;
    const found = named.exec(this.#head) ?? named.exec(this.#tail);
    if (found?.[1] !== undefined) return Number(found[1]);
    if (!this.#closed || !this.#head.startsWith(`{"tokens":`)) return undefined;
    return this.#anyId ? this.#commas + 1 : 0;
  }

  #countIds(bytes: Buffer, from: number): void {
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i];
      if (byte === CLOSE) {
        this.#closed = true;
        return;
      }
      if (byte === COMMA) this.#commas++;
      else this.#anyId = true;
    }
  }
}
