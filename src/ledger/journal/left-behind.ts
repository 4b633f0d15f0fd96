/**
 * Finds what processes before this one left in their journals, and a place for this one's. A directory belongs to the process that has
 * its lock (`journal/1`, `journal/2`, …): a gateway beside this one on the same data directory keeps its own.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DataDirLock, lockDataDir } from "../../db/data-dir-lock.ts";
import { StoreError } from "../../db/store-error.ts";
import { readSegment, segmentName, syncDirectory } from "./segment.ts";

export type LeftBehind = {
  /** Records of the ledger, oldest first within each process. */
  records: string[];
  /** Owners of the holds that those processes had: whoever has their place knows that they are dead. */
  deadOwners: string[];
  /** This process's directory, and the number of its first file. */
  directory: string;
  first: number;
  /** Removes the files of `records`. Call it when their work is done, durably. */
  remove(): Promise<void>;
  release(): void;
};

const MOST_SLOTS = 64;
const FILE = /^(\d{8})\.journal$/;

/** `onProblem` is told of files that belong to another ledger (they stay) or are damaged (they are kept under another name). */
export async function openLeftBehind(
  dataDir: string,
  { ledger, owner }: { ledger: string; owner: string },
  onProblem: (what: string, error?: unknown) => void,
): Promise<LeftBehind> {
  const root = join(dataDir, "journal");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const slots: { directory: string; lock: DataDirLock }[] = [];
  for (let slot = 1; slot <= MOST_SLOTS; slot++) {
    const directory = join(root, String(slot));
    if (!existsSync(directory) && slots.length > 0) break;
    const lock = await tryLock(directory);
    if (lock !== undefined) slots.push({ directory, lock });
  }
  const own = slots[0];
  if (own === undefined)
    throw new StoreError(
      "locked",
      `all journals in ${root} are in use by other gateways; give this one its own data directory with --data`,
    );

  const deadOwners = slots.flatMap(({ directory }) => readOwner(join(directory, "owner")));
  const records: string[] = [];
  const read: string[] = [];
  for (const { directory } of slots) {
    let before: { number: number; end: number } | undefined;
    for (const number of numbersIn(directory)) {
      const path = join(directory, segmentName(number));
      const file = readFileSync(path);
      const segment = readSegment(file);
      if (segment.ledger !== undefined && segment.ledger !== ledger) {
        onProblem(`the journal ${path} belongs to another database, and is left alone`);
        continue;
      }
      if (segment.ledger === undefined) {
        // Not even its head is whole: nothing stands between the files before and behind it.
        read.push(path);
        continue;
      }
      const { previous } = segment;
      if (previous !== null && before?.number === previous.number && before.end < previous.bytes) {
        const damaged = join(directory, segmentName(previous.number));
        onProblem(
          `the journal ${damaged} is damaged after byte ${before.end}: ${previous.bytes - before.end} bytes that had been written cannot be read; it is kept as ${damaged}.damaged`,
        );
        renameSync(damaged, `${damaged}.damaged`);
        read.splice(read.indexOf(damaged), 1);
      }
      before = { number, end: segment.end };
      for (const record of segment.records) records.push(record);
      read.push(path);
    }
  }

  writeFileSync(join(own.directory, "owner"), owner, { mode: 0o600 });

  return {
    records,
    deadOwners,
    directory: own.directory,
    first: (numbersIn(own.directory).at(-1) ?? 0) + 1,
    async remove() {
      for (const path of read) rmSync(path, { force: true });
      for (const { directory, lock } of slots.slice(1)) {
        await syncDirectory(directory);
        lock.release();
      }
      await syncDirectory(own.directory);
    },
    release: () => own.lock.release(),
  };
}

function readOwner(path: string): string[] {
  return existsSync(path) ? [readFileSync(path, "utf8")] : [];
}

async function tryLock(directory: string): Promise<DataDirLock | undefined> {
  try {
    return await lockDataDir(directory);
  } catch (error) {
    if (error instanceof StoreError && error.code === "locked") return undefined;
    throw error;
  }
}

function numbersIn(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => FILE.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}
