/**
 * A real Postgres for tests: the server at `EVENER_TEST_POSTGRES_URL`, else one started from Debian's package (`postgresql`) in a
 * temporary directory. Each caller gets an empty database of its own.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";

export type TestPostgres = {
  /** Makes an empty database; returns its URL. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
};

/** One that can be killed; it is the tests' own. */
export type MortalPostgres = TestPostgres & {
  /** All of its processes at once, by kill -9 or as `pg_ctl stop -m immediate` does. Resolves when none is left. */
  kill(how: "SIGKILL" | "immediate"): Promise<void>;
  /** Starts it again, on the same port and data; resolves when it has recovered and answers. */
  restart(): Promise<void>;
};

const GIVEN = process.env["EVENER_TEST_POSTGRES_URL"];

/** The newest server's directory of programs, if the package is installed. */
function findPrograms(): string | undefined {
  const found = globSync("/usr/lib/postgresql/*/bin/postgres").sort((a, b) => version(a) - version(b));
  const newest = found.at(-1);
  return newest === undefined ? undefined : dirname(newest);
}

function version(path: string): number {
  return Number(/postgresql\/(\d+)/.exec(path)?.[1] ?? 0);
}

/** Whether tests on Postgres can run. In CI they must: there it throws instead of saying no. */
export function postgresAvailable(): boolean {
  if (GIVEN !== undefined || findPrograms() !== undefined) return true;
  if (process.env["CI"])
    throw new Error("no Postgres for the tests: install Debian's package postgresql, or set EVENER_TEST_POSTGRES_URL");
  return false;
}

export async function startPostgres(): Promise<TestPostgres> {
  return GIVEN === undefined ? startMortalPostgres() : clientOf(GIVEN, async () => {});
}

/** Whether there is a server that tests may kill. In CI there must be. */
export function mortalPostgresAvailable(): boolean {
  return findPrograms() !== undefined || (GIVEN === undefined && postgresAvailable());
}

/** `env`: beside this process' own, and only for Postgres itself: not for what makes it run as its user. */
export async function startMortalPostgres(env: Record<string, string> = {}): Promise<MortalPostgres> {
  const programs = findPrograms();
  if (programs === undefined) throw new Error("Debian's package postgresql is not installed");
  const directory = mkdtempSync(join(tmpdir(), "evener-postgres-"));
  // The server refuses to run as root; the package brought a user for it.
  const asUser = process.getuid?.() === 0 ? ["--reuid=postgres", "--regid=postgres", "--init-groups"] : [];
  if (asUser.length > 0) chownSync(directory, idOf("-u"), idOf("-g"));
  const data = join(directory, "data");
  const initdb = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale", "--username=evener", "--pgdata", data];
  execFileSync("setpriv", [...asUser, join(programs, "initdb"), ...initdb], { stdio: ["ignore", "ignore", "pipe"] });

  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    // Should this process be killed, the server goes with it.
    const settings = { listen_addresses: "127.0.0.1", max_connections: "200", log_min_messages: "fatal" };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const added = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const where = ["-D", data, "-k", directory, "-p", String(port)];
    const postgres = ["env", ...added, join(programs, "postgres"), ...where, ...flags];
    let complaint = "";
    const run = (): ChildProcess => {
      const started = spawn("setpriv", [...asUser, "--pdeathsig=KILL", ...postgres], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      complaint = "";
      started.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
      return started;
    };
    let server = run();
    const url = `postgres://evener@127.0.0.1:${port}/postgres`;
    if (await answers(server, url)) {
      return Object.assign(
        clientOf(url, () => end(server, directory)),
        {
          async kill(how: "SIGKILL" | "immediate") {
            const pids = processesOf(server);
            if (how === "SIGKILL") for (const pid of pids) process.kill(pid, "SIGKILL");
            await end(server, directory, true);
            // Whoever is left of it keeps the next one from its shared memory.
            while (pids.some(isRunning)) await new Promise((resolve) => setTimeout(resolve, 5));
          },
          async restart() {
            server = run();
            if (!(await answers(server, url))) throw new Error(`Postgres did not start again: ${complaint}`);
          },
        },
      );
    }
    await end(server, directory, attempt < 3);
    if (attempt === 3) throw new Error(`Postgres did not start: ${complaint}`);
  }
}

/** The server's process, which `setpriv` has become, and its children: the first is stopped first. */
function processesOf(server: ChildProcess): number[] {
  const { pid } = server;
  if (pid === undefined) return [];
  const children = globSync(`/proc/${pid}/task/*/children`).flatMap((file) =>
    readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children];
}

/** Not so of one that has ended and was not waited for yet. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function clientOf(url: string, stop: () => Promise<void>): TestPostgres {
  const made: string[] = [];
  const ask = async (statement: string): Promise<void> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return {
    async createDatabase() {
      const name = `evener_test_${randomBytes(8).toString("hex")}`;
      await ask(`CREATE DATABASE ${name}`);
      made.push(name);
      const own = new URL(url);
      own.pathname = `/${name}`;
      return own.href;
    },
    async stop() {
      // A server that was there before the tests is left as it was.
      for (const name of made.splice(0)) await ask(`DROP DATABASE ${name} WITH (FORCE)`);
      await stop();
    },
  };
}

function idOf(flag: "-u" | "-g"): number {
  return Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
}

/** Free a moment ago; somebody may take it first, hence the attempts. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function answers(server: ChildProcess, url: string): Promise<boolean> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline && server.exitCode === null) {
    const client = new Client({ connectionString: url });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return false;
}

/** SIGQUIT is Postgres' immediate shutdown: nothing in it is worth waiting for. */
async function end(server: ChildProcess, directory: string, keep = false): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) {
    server.kill("SIGQUIT");
    await once(server, "exit");
  }
  if (!keep) rmSync(directory, { recursive: true, force: true });
}
