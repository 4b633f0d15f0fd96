import { expect, onTestFinished, test } from "vitest";
import { StoreError } from "../db/store-error.ts";
import { createFinisher } from "./finisher.ts";
import type { JournalEntry } from "./journal/journal.ts";
import { createPresence } from "./presence.ts";
import { releaseItem } from "./settle-item.ts";

/** Longer than any test: who waits for it fails. */
const PATIENCE_MS = 3_600_000;

function finisher(applied: Promise<void>) {
  const written: string[] = [];
  const done: string[] = [];
  const presence = createPresence(
    () => Promise.reject(new Error("still away")),
    () => {},
  );
  onTestFinished(() => presence.close());
  const append = (record: () => string): JournalEntry => {
    const text = record();
    written.push(text);
    return { durable: Promise.resolve(), done: () => void done.push(text) };
  };
  const finish = createFinisher({
    settles: { add: () => applied, pending: 0, close: async () => {} },
    journal: { append, roll: async () => {}, bytes: 0, close: async () => {} },
    journalAll: false,
    presence,
    patienceMs: PATIENCE_MS,
    onProblem: () => {},
  });
  return { finish, presence, written, done };
}

test("while the database answers, the journal is not needed", async () => {
  const { finish, written } = finisher(Promise.resolve());
  await finish(releaseItem("req_1", null));
  expect(written).toEqual([]);
});

test("goes to the journal as soon as anybody finds the database away, however long its patience", async () => {
  const { finish, presence, written } = finisher(new Promise(() => {}));
  const finished = finish(releaseItem("req_1", null));
  presence.fail();
  await finished;
  expect(written).toHaveLength(1);
});

test("what ends while the database is away goes to the journal at once", async () => {
  const { finish, presence, written } = finisher(new Promise(() => {}));
  presence.fail();
  await finish(releaseItem("req_1", null));
  expect(written).toHaveLength(1);
});

test.each([
  ["once the database has it", undefined, 1],
  ["when the database refuses it for what it is", new Error("no such tenant"), 1],
  ["never, when the database was not back in time", new StoreError("unavailable", "closed"), 0],
])("what is in the journal is done there %s", async (_when, error, times) => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { finish, presence, written, done } = finisher(promise);
  presence.fail();
  await finish(releaseItem("req_1", null));
  expect([written, done]).toEqual([[expect.stringContaining("req_1")], []]);
  if (error === undefined) resolve();
  else reject(error);
  await new Promise(setImmediate);
  expect(done).toHaveLength(times);
});
