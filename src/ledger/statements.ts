/**
 * The statements that move money, as TypeScript sees them. What they do, and under which locks, stands in 0002_money.sql (with
 * 0004_running_counts.sql and 0005_lone_requests.sql); each takes an array, or the one item that came alone, is one transaction, and may
 * be sent again without harm.
 */
import type { SpendCap } from "../conversation/spend-cap.ts";
import { compositeArray } from "../db/composite-array.ts";
import type { Statement, Store } from "../db/open-store.ts";
import { CHECKPOINT_COLUMNS, RESERVE_COLUMNS, SETTLE_COLUMNS } from "./item-columns.ts";
import type { Count } from "./journal/records.ts";
import { type LimitRow, Limits, least } from "./limits.ts";
import type { TokenPrices } from "./money.ts";
import type { SettleItem } from "./settle-item.ts";
import { isStanding } from "./standing-id.ts";

export type ReserveItem = {
  request_id: string;
  tenant_id: string;
  key_id: string;
  model: string;
  /** Tokens of the prompt, and of the answer, to hold for. */
  input: number;
  output: number;
} & HoldFacts;

/** What a usage row needs beside if the gateway dies. */
export type HoldFacts = {
  requested_model: string;
  wire: string;
  streamed: boolean;
  session: string | null;
  agent: string | null;
  /** ISO 8601. */
  started_at: string;
};

/** A price version, and when the next one takes its place, if one is set already; by the database's clock. */
export type Price = TokenPrices & { id: number; until: Date | null };

export type ReserveResult = {
  refused: "account" | "budget" | null;
  /** Null: there is no such tenant. */
  terms: "prepaid" | "postpaid" | null;
  /** Null, with `price`, where nothing can be charged. */
  accountId: number | null;
  price: Price | null;
  /** nano-USD that are (or, when refused, would have been) held. */
  amount: bigint;
  reservedAt: Date;
  /** nano-USD: the least of what the limit and the budgets leave beside all holds. Null: there are none. */
  unspent: bigint | null;
  /** Of that, what all keys of the tenant share, and what is this key's own. */
  tenantUnspent: bigint | null;
  keyUnspent: bigint | null;
  /** The budget that refused; else the one that is spent furthest; undefined without budgets. */
  cap: SpendCap | undefined;
};

export type CheckpointItem = {
  request_id: string;
  /** Numbers a request's checkpoints, from 1. */
  checkpoint: number;
  input_uncached: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  /** Tokens of output that the hold is to cover beside what is counted. */
  ahead: number;
};

export type CheckpointResult = {
  /** nano-USD now held. */
  amount: bigint;
  /** The limit that refused a larger hold, as in `tenant month budget` or `account`. */
  refused: string | null;
};

/** Beside a price, when the next one takes its place. */
const UNTIL = `CASE WHEN r.n IS NULL AND r.price_id IS NOT NULL THEN price_until(r.price_id) END AS until`;
const RESERVE: Statement = { name: "ledger-reserve", text: `SELECT r.*, ${UNTIL} FROM ledger_reserve($1, $2, $3) r` };
const RESERVE_ONE: Statement = {
  name: "ledger-reserve-one",
  text: `SELECT r.*, ${UNTIL} FROM ledger_reserve_one($1, $2, ($3::reserve_item[])[1]) r`,
};
const RELEASE: Statement = { name: "ledger-release", text: "SELECT ledger_release($1)" };
const CHECKPOINT: Statement = { name: "ledger-checkpoint", text: "SELECT * FROM ledger_checkpoint($1, $2)" };
const NOTE: Statement = {
  name: "ledger-note",
  text: `INSERT INTO running_count (owner, at, counts) VALUES ($1, clock_timestamp(), $2)
    ON CONFLICT (owner) DO UPDATE SET at = excluded.at, counts = excluded.counts`,
};
const SETTLE: Statement = { name: "ledger-settle", text: "SELECT * FROM ledger_settle($1, $2, $3, $4)" };
const SETTLE_ONE: Statement = {
  name: "ledger-settle-one",
  text: "SELECT * FROM ledger_settle_one(($1::settle_item[])[1])",
};
const RECORD: Statement = { name: "ledger-record", text: "SELECT * FROM ledger_record($1)" };
const SWEEP: Statement = { name: "ledger-sweep", text: "SELECT * FROM ledger_sweep($1, $2)" };
const FORGET: Statement = {
  name: "ledger-forget",
  text: `DELETE FROM running_count r WHERE r.at < clock_timestamp() - interval '1 hour'
    AND NOT EXISTS (SELECT FROM hold h WHERE h.owner = r.owner)`,
};

/** One for each item, with its number; one for each price that they have; one for each limit. Null is what the other two have. */
type ReserveRow = ItemRow | RatesRow | LimitRow;
type ItemRow = {
  n: number;
  /** Null: it is held. 0: the account refused it. Else the id of the budget that did. */
  refused_by: bigint | null;
  terms: "prepaid" | "postpaid" | null;
  account_id: bigint | null;
  price_id: bigint | null;
  amount: bigint;
  reserved_at: Date;
};
type RatesRow = {
  n: null;
  price_id: bigint;
  input_uncached: bigint;
  cache_read: bigint;
  cache_write: bigint;
  output: bigint;
  until: Date | null;
};

const MOST_A_SWEEP = 500;

/** Holds money for each item that fits, in their order; a result for each. */
export async function reserveHolds(
  store: Store,
  { owner, leaseMs }: { owner: string; leaseMs: number },
  items: readonly ReserveItem[],
): Promise<ReserveResult[]> {
  const values = [owner, interval(leaseMs), compositeArray(RESERVE_COLUMNS, items)];
  const statement = items.length === 1 ? RESERVE_ONE : RESERVE;
  const rows = await retried(() => store.run<ReserveRow>(statement, values));
  const held: ItemRow[] = [];
  const prices = new Map<bigint, Price>();
  const limits = new Limits();
  for (const row of rows) {
    if (row.n !== null) held[row.n - 1] = row;
    else if (row.price_id !== null) prices.set(row.price_id, toPrice(row));
    else limits.add(row);
  }
  return held.map((row, index) => toReserveResult(row, items[index] as ReserveItem, prices, limits));
}

function toPrice(row: RatesRow): Price {
  return {
    id: Number(row.price_id),
    inputUncached: row.input_uncached,
    cacheRead: row.cache_read,
    cacheWrite: row.cache_write,
    output: row.output,
    until: row.until,
  };
}

function toReserveResult(
  row: ItemRow,
  { tenant_id, key_id }: ReserveItem,
  prices: ReadonlyMap<bigint, Price>,
  limits: Limits,
): ReserveResult {
  const { refused_by, account_id } = row;
  const { tenantUnspent, keyUnspent, cap } = limits.of(account_id, tenant_id, key_id);
  return {
    refused: refused_by === null ? null : refused_by === 0n ? "account" : "budget",
    terms: row.terms,
    accountId: account_id === null ? null : Number(account_id),
    price: row.price_id === null ? null : (prices.get(row.price_id) as Price),
    amount: row.amount,
    reservedAt: row.reserved_at,
    unspent: least(tenantUnspent, keyUnspent),
    tenantUnspent,
    keyUnspent,
    cap: refused_by === null || refused_by === 0n ? cap : limits.budget(refused_by),
  };
}

/** Frees holds of which nothing is charged, and leaves no row of them. */
export async function releaseHolds(store: Store, requestIds: readonly string[]): Promise<void> {
  await retried(() => store.run(RELEASE, [requestIds]));
}

/** Notes counts and renews leases. Without a result: the hold is gone, or is being settled now, or knew a later count. */
export async function checkpointHolds(
  store: Store,
  leaseMs: number,
  items: readonly CheckpointItem[],
): Promise<Map<string, CheckpointResult>> {
  const values = [interval(leaseMs), compositeArray(CHECKPOINT_COLUMNS, items)];
  const rows = await retried(() =>
    store.run<{ checked: string; amount: bigint; refused: string | null }>(CHECKPOINT, values),
  );
  return new Map(rows.map(({ checked, amount, refused }) => [checked, { amount, refused }]));
}

/** Notes how far all live requests of a gateway are, in place of what was noted before: those that it leaves out are not in flight any more. */
export async function noteCounts(store: Store, owner: string, counts: readonly Count[]): Promise<void> {
  await store.run(NOTE, [owner, JSON.stringify(counts)]);
}

/** Drops the counts of gateways that have been gone for long, and hold nothing. */
export async function forgetCounts(store: Store): Promise<void> {
  await store.run(FORGET, []);
}

/** What became of a request's end. No result: it had ended before, or leaves no row. */
export type Settled = Map<string, "settled" | "adjusted">;

/** Ends requests, each once. */
export async function settleItems(store: Store, items: readonly SettleItem[]): Promise<Settled> {
  if (!items.every((item) => item.unheld)) return settleHeld(store, items);
  const values = [compositeArray(SETTLE_COLUMNS, items)];
  const rows = await retried(() => store.run<{ request_id: string }>(RECORD, values));
  const settled = written(items);
  if (rows.length === 0) return settled;
  const known = new Set(rows.map((row) => row.request_id));
  for (const id of known) settled.delete(id);
  const held = await settleHeld(
    store,
    items.filter((item) => known.has(item.request_id)),
  );
  return new Map([...held, ...settled]);
}

async function settleHeld(store: Store, items: readonly SettleItem[]): Promise<Settled> {
  const accounts = new Set<number>();
  let capped = false;
  for (const item of items) {
    if (item.account_id !== null) accounts.add(item.account_id);
    capped ||= item.capped;
  }
  const composites = compositeArray(SETTLE_COLUMNS, items);
  const alone = items.length === 1 && !capped;
  const [statement, values]: [Statement, unknown[]] = alone
    ? [SETTLE_ONE, [composites]]
    : [SETTLE, [[...accounts], items.map((item) => item.request_id), composites, capped]];
  const rows = await retried(() => store.run<{ request_id: string; adjusted: boolean }>(statement, values));
  const settled = written(items);
  for (const { request_id, adjusted } of rows) {
    if (adjusted) settled.set(request_id, "adjusted");
    else settled.delete(request_id);
  }
  return settled;
}

function written(items: readonly SettleItem[]): Settled {
  return new Map(items.filter((item) => item.kept).map((item) => [item.request_id, "settled"]));
}

/** Settles holds whose lease ran out, or whose owner is dead, at the last count that is known; returns how many requests that were. */
export async function sweepHolds(store: Store, deadOwners: readonly string[]): Promise<number> {
  let total = 0;
  for (;;) {
    const rows = await retried(() => store.run<{ swept: string }>(SWEEP, [MOST_A_SWEEP, deadOwners]));
    for (const { swept } of rows) if (!isStanding(swept)) total++;
    if (rows.length < MOST_A_SWEEP) return total;
  }
}

function interval(ms: number): string {
  return `${ms} milliseconds`;
}

/** Serialization failure and deadlock: the database undid all of it, and asks to be asked again. */
const AGAIN = new Set(["40001", "40P01"]);
const MOST_TRIES = 5;

export async function retried<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
      if (typeof code !== "string" || !AGAIN.has(code) || attempt === MOST_TRIES) throw error;
    }
  }
}
