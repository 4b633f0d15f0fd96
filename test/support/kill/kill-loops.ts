/**
 * The kill loops: load, kill -9 at a random moment, restart, audit; over and over. Each throws at the first round in which something is
 * wrong, and says with which seed that round can be run again.
 */
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { Client } from "pg";
import { parseUsd } from "../../../src/ledger/money.ts";
import { waitUntil } from "../wait-until.ts";
import { auditRound } from "./audit.ts";
import { type Told, ask } from "./client.ts";
import { type Load, startLoad } from "./load.ts";
import { refill } from "./payers.ts";
import { type Random, createRandom } from "./random.ts";
import { type Stand, type StoreKind, buildStand } from "./stand.ts";
import { type Tally, addTally, emptyTally } from "./tally.ts";

const MOST_SHOWN = 8;

/**
 * `gateway`: starts again on its data. `machine`: a gateway that does not come back, beside one that does not know its files.
 * `postgres`: the gateway lives on. `both`: the gateway dies while Postgres is away. `engine`: the gateway lives on.
 */
const LOOPS = {
  gateway: killGateway,
  machine: killMachine,
  postgres: killPostgres,
  both: killBoth,
  engine: killEngine,
};
export type Victim = keyof typeof LOOPS;

export type LoopOptions = {
  victim: Victim;
  /** All but `gateway` and `engine` need Postgres. */
  store: StoreKind;
  rounds: number;
  /** Of the first round; the others count on. */
  seed: number;
  /** Told after each round. */
  onRound?: (round: number, sofar: Tally) => void;
  /** Told of what is wrong in a round; the loop then goes on. Without it, the loop throws. */
  onFindings?: (report: string) => void;
};

export function isVictim(name: string): name is Victim {
  return Object.hasOwn(LOOPS, name);
}

/** `EVENER_KILL_SEED`, or a random one. */
export function chooseSeed(): number {
  return Number(process.env["EVENER_KILL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}

export async function runKillLoop(options: LoopOptions): Promise<Tally> {
  const { victim, store, rounds, seed, onRound } = options;
  const onFindings =
    options.onFindings ??
    ((report: string): never => {
      throw new Error(report);
    });
  const stand = await buildStand(store);
  const sum = emptyTally();
  try {
    for (let round = 0; round < rounds; round++) {
      const where = `round ${round + 1} of killing the ${victim} on ${store}, planned again by EVENER_KILL_SEED=${seed + round}`;
      const tally = await LOOPS[victim](stand, createRandom(seed + round)).catch((error: Error) => {
        throw new Error(`${where}: ${error.message}\nThe gateway said:\n${tail(stand.gateway.log())}`, {
          cause: error,
        });
      });
      addTally(sum, tally);
      if (tally.findings.length > 0) {
        const texts = tally.findings.slice(0, MOST_SHOWN).map(({ kind, text }) => `${kind}: ${text}`);
        onFindings(`${tally.findings.length} findings in ${where}:\n${texts.join("\n")}`);
      }
      onRound?.(round + 1, sum);
    }
  } catch (error) {
    // What went wrong in a round is what happened first; what then does not stop comes of it.
    await stand.close().catch(() => {});
    throw error;
  }
  await stand.close();
  return sum;
}

/** The gateway dies amid its streams, sometimes again while it recovers, and starts again on the same data. */
async function killGateway({ gateway, engine, payers }: Stand, random: Random): Promise<Tally> {
  await refill(gateway);
  const startedAt = Date.now();
  const load = startLoad(gateway, payers, random);
  await setTimeout(random.whole(50, 1_800));
  const { killedAt, told } = await killUnder(gateway, load);
  while (random.chance(0.15)) await gateway.startAndKill(random.whole(100, 1_500));
  await gateway.start();
  return auditRound(gateway, { startedAt, killedAt, withoutDatabase: false, told, generated: engine.takeDiary() });
}

/** The gateway dies and stays away: another one, which knows nothing of its files, settles what it held once its leases have run out. */
async function killMachine({ gateway, engine, payers, databaseUrl, another }: Stand, random: Random): Promise<Tally> {
  const other = another();
  await other.start();
  await refill(gateway);
  const startedAt = Date.now();
  const load = startLoad(gateway, payers, random);
  await setTimeout(random.whole(500, 2_500));
  const { killedAt, told } = await killUnder(gateway, load);
  await waitUntil(
    "the other gateway to settle what the dead one held",
    async () => {
      const { open, overdue } = await openHolds(needed(databaseUrl));
      if (overdue > 0) throw new Error(`${overdue} of ${open} holds are open ${OVERDUE_S} s after their lease`);
      return open === 0;
    },
    60_000,
  );
  const generated = engine.takeDiary();
  const tally = await auditRound(other, { startedAt, killedAt, withoutDatabase: false, told, generated });
  // When it does come back, what it remembers changes nothing.
  await gateway.start();
  const again = await auditRound(gateway, { startedAt, killedAt, withoutDatabase: false, told, generated });
  await other.stop();
  return { ...tally, findings: [...tally.findings, ...again.findings] };
}

/** The database dies under a gateway that lives on: who is known goes on or is asked to wait, and is billed once it is back. */
async function killPostgres(stand: Stand, random: Random): Promise<Tally> {
  const { gateway, engine, payers } = stand;
  const postgres = needed(stand.postgres);
  await refill(gateway);
  const startedAt = Date.now();
  const known = await greet(stand);
  const load = startLoad(gateway, payers, random);
  await setTimeout(random.whole(100, 1_200));
  await postgres.kill(random.pick(["SIGKILL", "immediate"]));
  const during = random.chance(0.7) ? await askWithoutDatabase(stand) : [];
  await setTimeout(random.whole(0, 300));
  await postgres.restart();
  await setTimeout(random.whole(0, 500));
  const told = [...known, ...(await load.stop()), ...during];
  expectNoFailures(told);
  await settled(gateway, told);
  return auditRound(gateway, {
    startedAt,
    killedAt: undefined,
    withoutDatabase: true,
    told,
    generated: engine.takeDiary(),
  });
}

/** The gateway dies while the database is away: what it has let in and acknowledged meanwhile is in its journal alone. */
async function killBoth(stand: Stand, random: Random): Promise<Tally> {
  const { gateway, engine, payers } = stand;
  const postgres = needed(stand.postgres);
  await refill(gateway);
  const startedAt = Date.now();
  const known = await greet(stand);
  const load = startLoad(gateway, payers, random);
  await setTimeout(random.whole(100, 800));
  await postgres.kill(random.pick(["SIGKILL", "immediate"]));
  const during = await askWithoutDatabase(stand);
  await setTimeout(random.whole(0, 1_500));
  const { killedAt, told } = await killUnder(gateway, load);
  expectNoFailures(told);
  await postgres.restart();
  await gateway.start();
  return auditRound(gateway, {
    startedAt,
    killedAt,
    withoutDatabase: true,
    told: [...known, ...told, ...during],
    generated: engine.takeDiary(),
  });
}

/** The engine dies amid its streams and comes back. */
async function killEngine({ gateway, engine, payers }: Stand, random: Random): Promise<Tally> {
  await refill(gateway);
  const startedAt = Date.now();
  const load = startLoad(gateway, payers, random);
  await setTimeout(random.whole(50, 1_200));
  await engine.kill();
  await setTimeout(random.whole(0, 300));
  await engine.restart();
  await setTimeout(random.whole(0, 500));
  const told = await load.stop();
  await settled(gateway, told);
  return auditRound(gateway, {
    startedAt,
    killedAt: undefined,
    withoutDatabase: false,
    told,
    generated: engine.takeDiary(),
  });
}

async function killUnder(gateway: Stand["gateway"], load: Load): Promise<{ killedAt: number; told: readonly Told[] }> {
  const stopped = load.stop();
  const killedAt = await gateway.kill();
  return { killedAt, told: await stopped };
}

/** A short request of each tenant, one after the other: afterwards the gateway knows them all. */
async function greet({ gateway, payers }: Stand): Promise<Told[]> {
  const told: Told[] = [];
  for (const payer of payers)
    told.push(
      await ask({
        url: gateway.url,
        payer,
        mark: randomUUID(),
        wire: "messages",
        streamed: false,
        tokens: 3,
        delayMs: 1,
        system: "Hello.",
      }),
    );
  return told;
}

/** The same while there is no database. */
async function askWithoutDatabase(stand: Stand): Promise<Told[]> {
  const told = await greet(stand);
  expectNoFailures(told);
  const answered = told.filter(({ ask: { payer }, status }) => payer.terms === "prepaid" && status !== 503);
  if (answered.length > 0)
    throw new Error(`prepaid tenants were answered while nobody could say what they have: ${JSON.stringify(answered)}`);
  return told;
}

/** A database that is away is no reason to fail, but for who may have nothing left: who is prepaid or near a limit is asked to wait. */
function expectNoFailures(all: readonly Told[]): void {
  for (const told of all) {
    if (told.end !== "error") continue;
    const { terms, tight } = told.ask.payer;
    const waits = told.status === 503 && told.retryAfter !== undefined;
    // Each wire has its own status for money that is spent.
    const spent = told.status === (told.ask.wire === "chat" ? 402 : 429);
    if (!(waits && (terms === "prepaid" || tight)) && !(spent && tight))
      throw new Error(`failed for want of a database: ${JSON.stringify(told)}`);
  }
}

/** Resolves when all is billed and nothing is held any more: what clients left, or what the database missed, is settled a little later. */
async function settled({ admin }: Stand["gateway"], told: readonly Told[]): Promise<void> {
  const since = new Date(Math.min(...told.map(({ endedAt }) => endedAt)) - 60_000).toISOString();
  const owed = told.flatMap(({ end, requestId }) => (end === "whole" && requestId !== undefined ? [requestId] : []));
  await waitUntil("all to be settled", async () => {
    const { data: tenants } = await admin<{ data: { held_usd: string }[] }>("/tenants");
    if (tenants.some(({ held_usd }) => parseUsd(held_usd) !== 0n)) return false;
    const { data: rows } = await admin<{ data: { request_id: string }[] }>(
      `/usage?by=request&limit=5000&since=${since}`,
    );
    const billed = new Set(rows.map(({ request_id }) => request_id));
    return owed.every((id) => billed.has(id));
  });
}

/** Holds whose lease has run out are looked for every five seconds. */
const OVERDUE_S = 10;

async function openHolds(databaseUrl: string): Promise<{ open: number; overdue: number }> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ open: number; overdue: number }>(
      `SELECT count(*)::int AS open, count(*) FILTER (WHERE lease_until < now() - interval '${OVERDUE_S} seconds')::int AS overdue FROM hold`,
    );
    return rows[0] ?? { open: 0, overdue: 0 };
  } finally {
    await client.end();
  }
}

function needed<T>(part: T | undefined): T {
  if (part === undefined)
    throw new Error("this loop needs Postgres: the embedded database lives and dies with its gateway");
  return part;
}

function tail(text: string): string {
  return text.split("\n").slice(-8).join("\n");
}
