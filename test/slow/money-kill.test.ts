/**
 * kill -9 in the middle of streams, over and over: what was acknowledged is there once, and what was cut is billed to within a second
 * of tokens. `EVENER_MONEY_KILLS` rounds a store.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Store, openStore } from "../../src/db/open-store.ts";
import { costOf } from "../../src/ledger/money.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import {
  PRICES,
  type Payer,
  USD,
  accountOf,
  addBudget,
  addPayer,
  addPrice,
  expectSound,
  usage,
} from "../support/money.ts";
import { postgresAvailable, startPostgres } from "../support/postgres.ts";
import { waitUntil } from "../support/wait-until.ts";

const ROUNDS = Number(process.env["EVENER_MONEY_KILLS"] ?? 10);
const CHILD = new URL("../support/ledger-child.ts", import.meta.url).pathname;
const CHECKPOINT_MS = 250;
/** What may be missing of a stream that was cut: a checkpoint's time and, on a busy machine, as much again, and again. */
const UNBILLED_MS = 1_000;

type Said = {
  reserved: Set<string>;
  settled: Map<string, number>;
  generated: Map<string, { at: number; output: number }[]>;
  last: number;
};

/** Lets a process bill streams for a while, then kills it. */
async function runAndKill(dataDir: string, args: string[], ms: number): Promise<Said> {
  const diary = join(dataDir, "diary");
  rmSync(diary, { force: true });
  const child = spawn(process.execPath, [CHILD, dataDir, diary, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  const closed = once(child, "close");
  const going = () => existsSync(diary) && readFileSync(diary, "utf8").includes(" go\n");
  await waitUntil("the child to begin", () => going() || child.exitCode !== null, 60_000);
  expect(child.exitCode).toBeNull();
  await setTimeout(ms);
  child.kill("SIGKILL");
  await closed;
  return readDiary(readFileSync(diary, "utf8"));
}

function readDiary(text: string): Said {
  const said: Said = { reserved: new Set(), settled: new Map(), generated: new Map(), last: 0 };
  for (const line of text.split("\n").slice(0, -1)) {
    const [time, what, id = "", output] = line.split(" ");
    said.last = Number(time);
    if (what === "+") {
      said.reserved.add(id);
      said.generated.set(id, []);
    } else if (what === "=") said.generated.get(id)!.push({ at: said.last, output: Number(output) });
    else if (what === "!") said.settled.set(id, Number(output));
  }
  return said;
}

describe.each(
  [
    { kind: "pglite", skip: false },
    { kind: "postgres", skip: !postgresAvailable() },
  ].filter(({ skip }) => !skip),
)("kill -9 with $kind", ({ kind }) => {
  let dataDir: string;
  let databaseUrl: string | undefined;
  let stop: () => Promise<void>;
  let payer: Payer;
  const withStore = async <T>(work: (store: Store) => Promise<T>): Promise<T> => {
    const store = await openStore({ dataDir, databaseUrl });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  };
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), "evener-kill-"));
    const server = kind === "postgres" ? await startPostgres() : undefined;
    databaseUrl = await server?.createDatabase();
    stop = async () => server?.stop();
    payer = await withStore(async (store) => {
      await addPrice(store, "priced");
      const made = await addPayer(store, { terms: "prepaid", balance: 100_000n * USD, floor: 0n });
      await addBudget(store, made, "month", 100_000n * USD);
      return made;
    });
  });
  afterEach(async () => {
    await stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it(`loses no acknowledged settle, doubles none, and bills what was cut, in ${ROUNDS} rounds`, async () => {
    let settled = 0;
    let cut = 0;
    let unknown = 0;
    let billed = 0n;
    for (let round = 0; round < ROUNDS; round++) {
      const args = [payer.tenantId, payer.keyId, String(8 + (round % 3) * 20), String(CHECKPOINT_MS)];
      const said = await runAndKill(
        dataDir,
        databaseUrl === undefined ? args : [...args, databaseUrl],
        300 + Math.random() * 1_500,
      );
      await withStore(async (store) => {
        const ledger = await openLedger(store, { dataDir });
        await ledger.close(5_000);
        await expectSound(store);
        expect(await accountOf(store, payer)).toMatchObject({ held: 0n });
        const ids = [...said.reserved];
        const events = await store.db
          .selectFrom("usage_event")
          .selectAll()
          .where("request_id", "in", ["", ...ids])
          .execute();
        const found = new Map(events.map((event) => [event.request_id, event]));
        for (const id of ids) {
          const event = found.get(id);
          const generated = said.generated.get(id) ?? [];
          const acknowledged = said.settled.get(id);
          const surely = generated.findLast(({ at }) => at < said.last - UNBILLED_MS);
          if (event === undefined) {
            // Let in on a standing hold, and killed before it had one of its own.
            expect([acknowledged, surely], `the row of ${id}`).toEqual([undefined, undefined]);
            unknown++;
          } else if (acknowledged !== undefined) {
            expect(event).toMatchObject({
              outcome: "ok",
              output: acknowledged,
              cost: costOf(PRICES, usage({ inputUncached: 50, output: acknowledged })),
            });
            settled++;
          } else {
            cut++;
            expect(event.output).toBeLessThanOrEqual(generated.at(-1)?.output ?? 0);
            expect(event.output).toBeGreaterThanOrEqual(surely?.output ?? 0);
          }
        }
        const { balance } = await accountOf(store, payer);
        const total = await store.db
          .selectFrom("usage_event")
          .select(({ fn }) => fn.sum<string>("cost").as("cost"))
          .executeTakeFirstOrThrow();
        billed = BigInt(total.cost ?? 0);
        expect(balance).toBe(100_000n * USD - billed);
      });
    }
    console.log(
      `${kind}: ${ROUNDS} kills, ${settled} settles acknowledged, ${cut} streams cut, ${unknown} of which nothing was known yet, ${billed} nano-USD billed`,
    );
    expect(settled).toBeGreaterThan(ROUNDS);
    expect(cut).toBeGreaterThan(ROUNDS);
  });
});
