/** What a client test stands on: a simulated engine, the built gateway before it, and its usage rows as Postgres holds them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool } from "pg";
import type { UsageEventTable } from "../../src/db/schema.ts";
import type { SimulatorOptions } from "../../src/simulator/options.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type CutProxy, cutProxy } from "./cut-proxy.ts";
import { type RunningEvener, startEvener } from "./evener.ts";
import { type TestPostgres, startPostgres } from "./postgres.ts";
import { waitUntil } from "./wait-until.ts";

/** A row of the table, whole: `evener usage` shows less of it. */
export type EventRow = Pick<
  UsageEventTable,
  | "request_id"
  | "wire"
  | "model"
  | "streamed"
  | "session"
  | "input_uncached"
  | "cache_read"
  | "output"
  | "outcome"
  | "finish_reason"
  | "error_code"
  | "repeat_of"
  | "cut_by"
> & {
  /** nano-USD. */
  cost: string;
};

export type ClientStand = {
  readonly simulator: Simulator;
  readonly evener: RunningEvener;
  /** The way to the gateway's database, which can be cut. */
  readonly database: CutProxy;
  /** A fresh directory, gone with the stand. */
  folder(): string;
  /** A key that can be revoked in the middle of a session. */
  ownKey(): Promise<{ key: string; revoke(): Promise<void> }>;
  /** The engine is gone until the gateway has told a client so; then it comes back. */
  goDown(): Promise<{ back: Promise<void> }>;
  /** Begins a scenario: what follows is counted from here. */
  mark(): Promise<Mark>;
  stop(): Promise<void>;
};

export type Mark = {
  /** Rows of requests that started since, oldest first. Waits until the engine is idle and each of its chats has its row. */
  rows(): Promise<EventRow[]>;
  /** Tokens that the engine served since, by its own count. */
  served(): { prompt: number; cached: number; generated: number };
  /** Bodies of chat requests that reached the engine since. */
  bodies(): Record<string, unknown>[];
};

export type StandOptions = {
  simulator?: SimulatorOptions;
  /** `timeouts` of the configuration file, in milliseconds. */
  timeouts?: Record<string, number>;
};

export async function startClientStand(options: StandOptions = {}): Promise<ClientStand> {
  const root = mkdtempSync(join(tmpdir(), "evener-clients-"));
  const closers: (() => Promise<void> | void)[] = [() => rmSync(root, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    const simulator = await startSimulator({ keepRequests: 10_000, ...options.simulator });
    closers.push(() => simulator.close());
    const postgres: TestPostgres = await startPostgres();
    closers.push(() => postgres.stop());
    const url = await postgres.createDatabase();
    const database = await cutProxy(url);
    closers.push(() => database.close());
    const config = join(root, "evener.yaml");
    writeFileSync(config, JSON.stringify({ timeouts: options.timeouts ?? {} }));
    const evener = await startEvener({
      engines: [simulator.url],
      env: { DATABASE_URL: database.url, EVENER_CONFIG: config },
    });
    closers.push(() => evener.stop());
    const pool = new Pool({ connectionString: url, max: 1 });
    closers.push(() => pool.end());
    return {
      simulator,
      evener,
      database,
      folder: () => mkdtempSync(join(root, "work-")),
      ownKey: () => ownKey(evener),
      async goDown() {
        await simulator.die("process");
        const before = timesUnreachable(evener);
        const comeBack = async (): Promise<void> => {
          try {
            await waitUntil("an engine_unreachable", () => timesUnreachable(evener) > before, 60_000);
          } finally {
            await simulator.revive();
          }
        };
        return { back: comeBack() };
      },
      mark: () => startMark(simulator, pool),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Refused before there was a row, or with one: the log has both. */
function timesUnreachable(evener: RunningEvener): number {
  return evener.log().match(/"(?:error_code|code)":"engine_unreachable"/g)?.length ?? 0;
}

async function ownKey({ url, adminKey }: RunningEvener): Promise<{ key: string; revoke(): Promise<void> }> {
  const post = async (path: string, body?: object): Promise<{ id: string; key: string }> => {
    const answer = await fetch(`${url}/admin/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as { id: string; key: string };
  };
  const { id, key } = await post("keys", { tenant: "local" });
  return { key, revoke: async () => void (await post(`keys/${id}/revoke`)) };
}

async function startMark(simulator: Simulator, pool: Pool): Promise<Mark> {
  await simulator.idle();
  const before = { ...simulator.totals };
  const requests = simulator.requests.length;
  const known = new Set((await eventRows(pool)).map((row) => row.request_id));
  return {
    async rows() {
      await simulator.idle();
      return (await eventRows(pool)).filter((row) => !known.has(row.request_id));
    },
    served: () => ({
      prompt: simulator.totals.promptTokens - before.promptTokens,
      cached: simulator.totals.cachedTokens - before.cachedTokens,
      generated: simulator.totals.generatedTokens - before.generatedTokens,
    }),
    bodies: () =>
      simulator.requests
        .slice(requests)
        .flatMap(({ path, body }) => (path === "/v1/chat/completions" && body !== undefined ? [body] : [])),
  };
}

async function eventRows(pool: Pool): Promise<EventRow[]> {
  const { rows } = await pool.query<EventRow>(
    `SELECT request_id, wire, model, streamed, session, input_uncached::int, cache_read::int, output::int,
            outcome, finish_reason, error_code, repeat_of, cut_by, cost
       FROM usage_event ORDER BY started_at, request_id`,
  );
  return rows;
}
