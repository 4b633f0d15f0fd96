/**
 * Knows how records stand in a journal file: length and checksum (CRC-32) before each, little-endian, so that a file whose end was torn
 * by a crash reads up to its last whole record.
 */
import { crc32 } from "node:zlib";

const HEADER_BYTES = 8;
/** No record is near this size; a length beyond it is garbage. */
const LARGEST_RECORD = 64 * 1024 * 1024;

export function frame(record: string): Buffer {
  const bytes = Buffer.byteLength(record);
  if (bytes === 0) throw new RangeError("a journal record cannot be empty");
  const framed = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  framed.write(record, HEADER_BYTES, "utf8");
  framed.writeUInt32LE(bytes, 0);
  framed.writeUInt32LE(crc32(framed.subarray(HEADER_BYTES)), 4);
  return framed;
}

/** The whole records at the start of a file, and where they end; what follows them was never acknowledged. */
export function readFrames(file: Buffer): { records: string[]; end: number } {
  const records: string[] = [];
  let at = 0;
  while (file.length - at >= HEADER_BYTES) {
    const bytes = file.readUInt32LE(at);
    const from = at + HEADER_BYTES;
    // A length of zero is what a file holds that was extended and never written.
    if (bytes === 0 || bytes > LARGEST_RECORD || bytes > file.length - from) break;
    const record = file.subarray(from, from + bytes);
    if (crc32(record) !== file.readUInt32LE(at + 4)) break;
    records.push(record.toString("utf8"));
    at = from + bytes;
  }
  return { records, end: at };
}
