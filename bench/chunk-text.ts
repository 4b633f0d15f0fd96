/**
 * The text of one chunk of the bench: "#00017@00123456789012 ", its number and when it was written, in microseconds of the
 * machine's monotonic clock, which all processes share.
 */
const CHUNK_TEXT_LENGTH = 22;

export function nowMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

export function chunkText(index: number): string {
  return `#${String(index).padStart(5, "0")}@${String(nowMicroseconds()).padStart(14, "0")} `;
}

/** Finds chunk texts in pieces of a stream, also where a piece ends within one. */
export function chunkScanner(onChunk: (index: number, writtenAt: number) => void): (text: string) => void {
  let kept = "";
  return (piece) => {
    const text = kept + piece;
    kept = "";
    let at = text.indexOf("#");
    while (at >= 0) {
      if (at + CHUNK_TEXT_LENGTH > text.length) {
        kept = text.slice(at);
        return;
      }
      if (text.charCodeAt(at + 6) === 64)
        onChunk(Number(text.slice(at + 1, at + 6)), Number(text.slice(at + 7, at + 21)));
      at = text.indexOf("#", at + 1);
    }
  };
}
