/** Reports that nobody waits for any more: what they run in Postgres ends with the command, and also with a gateway that is killed. */
import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Client } from "pg";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { sql } from "kysely";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { STORE_KINDS, type TestStore } from "../support/stores.ts";
import { postgresAvailable, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Of two gateways on one database. */
const SECRET = "a secret that is long enough for tests only";

describe.runIf(postgresAvailable())("a report that is given up", () => {
  let simulator: Simulator;
  let server: TestPostgres;
  let url: string;
  let evener: RunningEvener;
  let locker: Client;
  let watcher: Client;

  beforeAll(async () => {
    simulator = await startSimulator({});
    server = await startPostgres();
    url = await server.createDatabase();
    evener = await startEvener({ engines: [simulator.url], env: { DATABASE_URL: url, EVENER_SECRET: SECRET } });
    [locker, watcher] = [new Client({ connectionString: url }), new Client({ connectionString: url })];
    await Promise.all([locker.connect(), watcher.connect()]);
  });
  afterAll(async () => {
    await Promise.all([locker?.end(), watcher?.end()]);
    await evener?.stop();
    await server?.stop();
    await simulator?.close();
  });

  // A report that has to wait for this takes as long as the test likes.
  beforeEach(async () => {
    await locker.query("BEGIN");
    await locker.query("LOCK TABLE usage_event IN ACCESS EXCLUSIVE MODE");
  });
  afterEach(() => locker.query("ROLLBACK"));

  const waiting = async (): Promise<number> => {
    const { rows } = await watcher.query<{ count: string }>(
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    return Number(rows[0]?.count);
  };
  const running = async (...args: string[]) => {
    let child: ChildProcess | undefined;
    const finished = evener.cli(args, { onStart: (started) => (child = started) });
    await waitUntil("the report's statement", async () => (await waiting()) === 1);
    return { child: child as ChildProcess, finished };
  };

  it.each([
    ["SIGINT", 130, ["ledger", "verify"]],
    ["SIGTERM", 143, ["ledger", "verify"]],
    ["SIGINT", 130, ["ledger", "rebuild"]],
    ["SIGINT", 130, ["ledger", "export", "--focus", "--month", "2026-03"]],
    ["SIGINT", 130, ["usage"]],
    ["SIGINT", 130, ["usage", "--by", "request"]],
    ["SIGINT", 130, ["invoice", "--tenant", "local", "--month", "2026-03"]],
  ] as const)("%s ends it here with %i, and in the database: %j", async (signal, exitCode, args) => {
    const { child, finished } = await running(...args);
    child.kill(signal);
    expect(await finished).toEqual({
      code: exitCode,
      signal: null,
      stdout: "",
      stderr: `evener: stopped by ${signal}; the gateway stops working on it as well\n`,
    });
    await waitUntil("the statement's end", async () => (await waiting()) === 0, 2_500);
    expect(evener.log()).not.toContain("the admin API failed");
  });

  it("leaves its place to the next ones", async () => {
    for (let times = 0; times < 5; times++) {
      const { child, finished } = await running("ledger", "verify");
      child.kill("SIGINT");
      await finished;
      await waitUntil("the statement's end", async () => (await waiting()) === 0);
    }
    await locker.query("ROLLBACK");
    expect(await evener.cli(["ledger", "verify"])).toMatchObject({ code: 0 });
  });

  it("ends in the database also when its gateway is killed", async () => {
    const killed = await startEvener({
      engines: [simulator.url],
      env: { DATABASE_URL: url, EVENER_SECRET: SECRET },
    });
    const report = killed.cli(["ledger", "verify"]);
    await waitUntil("the report's statement", async () => (await waiting()) === 1);
    process.kill(killed.pid, "SIGKILL");
    expect(await report).toMatchObject({ code: 1 });
    await waitUntil("the statement's end", async () => (await waiting()) === 0, 15_000);
    await killed.stop();
  });
});

describe.each(STORE_KINDS.filter(({ skip }) => !skip))("work on $kind for somebody who leaves", ({ open }) => {
  let test: TestStore;
  beforeAll(async () => {
    test = await open();
  });
  afterAll(() => test?.dispose());

  it("begins no other statement, undoes what it has begun, and leaves the connection to others", async () => {
    const { store } = test;
    const leaving = new AbortController();
    const { patient } = store.until(leaving.signal);
    const work = patient.transaction().execute(async (trx) => {
      await sql`INSERT INTO setting (name, value) VALUES ('begun', 'x')`.execute(trx);
      leaving.abort();
      await sql`INSERT INTO setting (name, value) VALUES ('never', 'x')`.execute(trx);
    });
    await expect(work).rejects.toMatchObject({ code: "cancelled" });
    await expect(sql`SELECT 1`.execute(patient)).rejects.toMatchObject({ code: "cancelled" });
    const { rows } = await sql`SELECT name FROM setting WHERE name IN ('begun', 'never')`.execute(store.patient);
    expect(rows).toEqual([]);
  });
});
