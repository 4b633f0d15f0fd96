/** One file of a journal: appended to and fdatasync'd, then sealed, then removed. */
import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { frame, readFrames } from "./frames.ts";

export type Segment = {
  readonly path: string;
  readonly number: number;
  bytes: number;
  /** Records in it whose work is not done yet. */
  pending: number;
  sealed: boolean;
  readonly handle: FileHandle;
};

/** The first record of each file: whose it is, and how long the file before it was when that was sealed. */
type Head = { journal: 1; ledger: string; previous: { number: number; bytes: number } | null };

export function segmentName(number: number): string {
  return `${String(number).padStart(8, "0")}.journal`;
}

/** Makes the file; its name is durable when this resolves. */
export async function createSegment(
  directory: string,
  number: number,
  ledger: string,
  previous: Segment | undefined,
): Promise<Segment> {
  const path = join(directory, segmentName(number));
  const handle = await open(path, "wx", 0o600);
  const segment: Segment = { path, number, bytes: 0, pending: 0, sealed: false, handle };
  try {
    const before = previous === undefined ? null : { number: previous.number, bytes: previous.bytes };
    const head: Head = { journal: 1, ledger, previous: before };
    await appendTo(segment, frame(JSON.stringify(head)));
    await syncDirectory(directory);
    return segment;
  } catch (error) {
    await handle.close().catch(() => {});
    // Nothing was acknowledged from it. Where it stays all the same, it is read as what it is: a file without a head.
    await unlink(path).catch(() => {});
    throw error;
  }
}

/** Resolves when the bytes are on disk. After an error the segment must not be written to again. */
export async function appendTo(segment: Segment, bytes: Buffer): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const result = await segment.handle.write(bytes, written, bytes.length - written, segment.bytes + written);
    written += result.bytesWritten;
  }
  await segment.handle.datasync();
  segment.bytes += bytes.length;
}

export async function sealSegment(segment: Segment): Promise<void> {
  segment.sealed = true;
  await segment.handle.close();
}

export async function removeSegment(path: string): Promise<void> {
  await unlink(path);
  await syncDirectory(dirname(path));
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export type ReadSegment = {
  records: string[];
  /** Whose it is; undefined where not even the head is whole, so that nothing was ever acknowledged from it. */
  ledger: string | undefined;
  /** Where its whole records end. */
  end: number;
  previous: Head["previous"];
};

export function readSegment(file: Buffer): ReadSegment {
  const { records, end } = readFrames(file);
  const first = records.shift();
  const head = first === undefined ? undefined : (JSON.parse(first) as Partial<Head>);
  if (head?.journal !== 1) return { records: [], ledger: undefined, end: 0, previous: null };
  return { records, ledger: head.ledger, end, previous: head.previous ?? null };
}
