import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createJournal } from "./journal.ts";
import { openLeftBehind } from "./left-behind.ts";

it("goes on in another file where one cannot be made, and all that it acknowledged is read again", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "evener-journal-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const directory = join(dataDir, "journal", "1");
  mkdirSync(directory, { recursive: true });
  // What an attempt on a full disk leaves that could not be removed either.
  writeFileSync(join(directory, "00000001.journal"), "");

  const journal = createJournal({ directory, first: 1, ledger: "a" });
  await expect(journal.append(() => "lost").durable).rejects.toThrow("EEXIST");
  await journal.append(() => "kept").durable;
  await journal.close();
  expect(readdirSync(directory).toSorted()).toEqual(["00000001.journal", "00000002.journal"]);

  const problems: string[] = [];
  const left = await openLeftBehind(dataDir, { ledger: "a", owner: "next" }, (what) => problems.push(what));
  onTestFinished(() => left.release());
  expect([left.records, left.first, problems]).toEqual([["kept"], 3, []]);
});

it("sees that a file was cut short although one without a head stands behind it", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "evener-journal-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const directory = join(dataDir, "journal", "1");
  mkdirSync(directory, { recursive: true });
  const journal = createJournal({ directory, first: 1, ledger: "a" });
  await journal.append(() => "first").durable;
  await journal.roll();
  writeFileSync(join(directory, "00000002.journal"), "");
  await expect(journal.append(() => "lost").durable).rejects.toThrow("EEXIST");
  await journal.append(() => "third").durable;
  await journal.close();
  const first = join(directory, "00000001.journal");
  truncateSync(first, statSync(first).size - 2);

  const problems: string[] = [];
  const left = await openLeftBehind(dataDir, { ledger: "a", owner: "next" }, (what) => problems.push(what));
  onTestFinished(() => left.release());
  expect([left.records, problems]).toEqual([["third"], [expect.stringContaining("damaged")]]);
});

it("keeps no file for what was done before it was written, and each that has something to do", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "evener-journal-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const journal = createJournal({ directory: dataDir, first: 1, ledger: "a" });
  const counts = journal.append(() => "counts");
  counts.done();
  await counts.durable;
  await journal.roll();
  const open = journal.append(() => "open");
  await open.durable;
  await journal.close();
  expect(readdirSync(dataDir)).toEqual(["00000002.journal"]);
});
