/**
 * Reads HTTP/1.1 messages off a raw socket, as little of the protocol as the bench's own two ends speak.
 *
 * The bench does not use node:http for its loader and upstream, because they share one core with each other and must be
 * faster than what they measure.
 */
export type HttpReaderEvents = {
  /** The start line and headers, without the empty line. */
  onHead(head: string): void;
  /** A piece of the body, chunked framing taken off. The buffer is only valid during the call. */
  onBody(piece: Buffer): void;
  onEnd(): void;
};

const NEED_HEAD = 0;
const NEED_LENGTH = 1;
const NEED_CHUNK_SIZE = 2;
const NEED_CHUNK = 3;
const NEED_CHUNK_END = 4;
const NEED_TRAILER = 5;
const HEAD_END = Buffer.from("\r\n\r\n");

/** Returns a function to be fed with what the socket reads. Throws on what is not HTTP as it knows it. */
export function httpReader(events: HttpReaderEvents): (data: Buffer) => void {
  let state = NEED_HEAD;
  let left = 0;
  let kept: Buffer | undefined;

  const readHead = (data: Buffer, end: number) => {
    const head = data.toString("latin1", 0, end);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    events.onHead(head);
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) state = NEED_CHUNK_SIZE;
    else if (length !== null && length[1] !== "0") {
      left = Number(length[1]);
      state = NEED_LENGTH;
    } else events.onEnd();
  };

  return (read) => {
    let data = kept === undefined ? read : Buffer.concat([kept, read]);
    kept = undefined;
    while (data.length > 0) {
      if (state === NEED_LENGTH || state === NEED_CHUNK) {
        const piece = data.length <= left ? data : data.subarray(0, left);
        left -= piece.length;
        data = data.subarray(piece.length);
        events.onBody(piece);
        if (left > 0) return;
        if (state === NEED_CHUNK) state = NEED_CHUNK_END;
        else {
          state = NEED_HEAD;
          events.onEnd();
        }
        continue;
      }
      const end = state === NEED_HEAD ? data.indexOf(HEAD_END) : data.indexOf("\r\n");
      if (end < 0) {
        kept = Buffer.from(data);
        return;
      }
      if (state === NEED_HEAD) {
        readHead(data, end);
        data = data.subarray(end + 4);
        continue;
      }
      if (state === NEED_CHUNK_SIZE) {
        left = Number.parseInt(data.toString("latin1", 0, end), 16);
        if (Number.isNaN(left)) throw new Error("a chunk without a size");
        state = left === 0 ? NEED_TRAILER : NEED_CHUNK;
      } else if (state === NEED_CHUNK_END) state = NEED_CHUNK_SIZE;
      data = data.subarray(end + 2);
      if (state === NEED_TRAILER && end === 0) {
        state = NEED_HEAD;
        events.onEnd();
      }
    }
  };
}
