import { expect, onTestFinished, test } from "vitest";
import { createFinisher } from "./finisher.ts";
import type { JournalEntry } from "./journal/journal.ts";
import { createPresence } from "./presence.ts";
import { releaseItem } from "./settle-item.ts";

/** Longer than any test: who waits for it fails. */
const PATIENCE_MS = 3_600_000;

function finisher(applied: Promise<void>) {
  const written: string[] = [];
  const presence = createPresence(
    () => Promise.reject(new Error("still away")),
    () => {},
  );
  onTestFinished(() => presence.close());
  const append = (record: () => string): JournalEntry => {
    written.push(record());
    return { durable: Promise.resolve(), done() {} };
  };
  const finish = createFinisher({
    settles: { add: () => applied, pending: 0, close: async () => {} },
    journal: { append, roll: async () => {}, bytes: 0, close: async () => {} },
    journalAll: false,
    presence,
    patienceMs: PATIENCE_MS,
    onProblem: () => {},
  });
  return { finish, presence, written };
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
