/**
 * A journal on this machine's disk: what is appended has survived a power cut once it is acknowledged, and is read back by the next
 * process until its work is done.
 *
 * Records that come while the disk is busy share its next fdatasync. A file is removed when all that its records ask for was done
 * elsewhere, durably, and all files before it are gone.
 */
import { batcher } from "../../db/batcher.ts";
import { frame } from "./frames.ts";
import { type Segment, appendTo, createSegment, removeSegment, sealSegment } from "./segment.ts";

export type JournalEntry = {
  /** Resolves when the record is on disk, or need not be any more. */
  readonly durable: Promise<void>;
  /** Say that the record's work is done, so that it need not be kept. */
  done(): void;
};

export type Journal = {
  /**
   * `record` is asked for when it is written. `soon`: false lets it wait for others a moment, so that many share one write; what is done by
   * then is not written.
   */
  append(record: () => string, options?: { soon: boolean }): JournalEntry;
  /** Goes on in a new file, so that what is done can be removed. */
  roll(): Promise<void>;
  /** Of all files. */
  readonly bytes: number;
  /** Removes what is done; what is not stays for the next process. */
  close(): Promise<void>;
};

export type JournalOptions = {
  /** Exists, and is this process's alone. */
  directory: string;
  /** The first file's number. */
  first: number;
  /** Which ledger the records belong to. */
  ledger: string;
  segmentBytes?: number;
  /** Makes durable what was done; called before files are removed. While it rejects, they stay. */
  beforeRemoval?: () => Promise<void>;
  onProblem?: (what: string, error: unknown) => void;
};

const MOST_A_SYNC = 1024;
/** How long a record may wait for others. What is done by then, as short answers are, is never written. */
const LINGER_MS = 100;

type Item = { record: () => string; segment: Segment | undefined; done: boolean } | "roll";

export function createJournal(options: JournalOptions): Journal {
  const { directory, ledger, segmentBytes = 64 * 1024 * 1024, beforeRemoval, onProblem = () => {} } = options;
  const segments: Segment[] = [];
  let current: Segment | undefined;
  let last: Segment | undefined;
  let next = options.first;

  const seal = async (): Promise<void> => {
    if (current === undefined) return;
    const segment = current;
    current = undefined;
    await sealSegment(segment);
    void removeDone();
  };

  const write = async (items: Item[]): Promise<undefined[]> => {
    const records = items.filter((item) => item !== "roll");
    if (records.length > 0) {
      if (current === undefined) {
        // A number is tried once: what a failed attempt left behind must not be in the way of the next.
        current = last = await createSegment(directory, next++, ledger, last);
        segments.push(current);
      }
      try {
        await appendTo(current, Buffer.concat(records.map(({ record }) => frame(record()))));
      } catch (error) {
        // What a failed fdatasync left is unknown: these records are not acknowledged, and the next ones get a new file.
        await seal().catch(() => {});
        throw error;
      }
      for (const record of records) {
        record.segment = current;
        if (!record.done) current.pending++;
      }
    }
    if (items.includes("roll") || (current?.bytes ?? 0) >= segmentBytes) await seal();
    return items.map(() => undefined);
  };
  const writes = batcher(write, MOST_A_SYNC);

  type Lingering = { item: Item & object; resolve: (value: undefined) => void; reject: (error: unknown) => void };
  let lingering: Lingering[] = [];
  let timer: NodeJS.Timeout | undefined;
  const writeLingering = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const waited = lingering;
    lingering = [];
    for (const { item, resolve, reject } of waited)
      if (item.done) resolve(undefined);
      else writes.add(item).then(resolve, reject);
  };
  const linger = (item: Item & object): Promise<undefined> =>
    new Promise((resolve, reject) => {
      lingering.push({ item, resolve, reject });
      timer ??= setTimeout(writeLingering, LINGER_MS);
    });

  let removing: Promise<void> | undefined;
  const removeDone = (): Promise<void> => (removing ??= removeOldest().finally(() => (removing = undefined)));
  const removeOldest = async (): Promise<void> => {
    const done = (): Segment[] => {
      const kept = segments.findIndex((segment) => !segment.sealed || segment.pending > 0);
      return segments.slice(0, kept === -1 ? segments.length : kept);
    };
    try {
      for (let batch = done(); batch.length > 0; batch = done()) {
        await beforeRemoval?.();
        for (const segment of batch) {
          await removeSegment(segment.path);
          segments.splice(segments.indexOf(segment), 1);
        }
      }
    } catch (error) {
      onProblem("journal files whose work is done could not be removed", error);
    }
  };

  return {
    append(record, { soon } = { soon: true }) {
      const item: Item & object = { record, segment: undefined, done: false };
      if (soon && lingering.length > 0) writeLingering();
      return {
        durable: soon ? writes.add(item) : linger(item),
        done() {
          if (item.done) return;
          item.done = true;
          const { segment } = item;
          if (segment === undefined) return;
          segment.pending--;
          if (segment.sealed && segment.pending === 0) void removeDone();
        },
      };
    },
    roll: () => writes.add("roll"),
    get bytes() {
      return segments.reduce((sum, segment) => sum + segment.bytes, 0);
    },
    async close() {
      writeLingering();
      await writes.add("roll");
      await removeDone();
    },
  };
}
