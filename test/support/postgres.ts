/**
 * A real Postgres for tests: the server at `EVENER_TEST_POSTGRES_URL`, else one started from Debian's package (`postgresql`) in a
 * temporary directory. Each caller gets an empty database of its own.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";

export type TestPostgres = {
  /** Makes an empty database; returns its URL. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
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
  if (GIVEN !== undefined) return clientOf(GIVEN, async () => {});
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
    const postgres = [join(programs, "postgres"), "-D", data, "-k", directory, "-p", String(port), ...flags];
    const server = spawn("setpriv", [...asUser, "--pdeathsig=KILL", ...postgres], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let complaint = "";
    server.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
    const url = `postgres://evener@127.0.0.1:${port}/postgres`;
    if (await answers(server, url)) return clientOf(url, () => end(server, directory));
    await end(server, directory, attempt < 3);
    if (attempt === 3) throw new Error(`Postgres did not start: ${complaint}`);
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
