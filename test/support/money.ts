/** Tenants, keys, prices and budgets for tests of the ledger, and its whole state to compare. */
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import type { RunningCounts } from "../../src/ledger/live-request.ts";
import type { ReserveRequest } from "../../src/ledger/ledger-types.ts";
import type { TokenPrices } from "../../src/ledger/money.ts";
import type { UsageRow } from "../../src/ledger/usage-row.ts";
import { verifyLedger } from "../../src/ledger/verify.ts";
import type { Usage } from "../../src/conversation/usage.ts";
import type { Store } from "../../src/db/open-store.ts";
import { newRequestId } from "../../src/gateway/request-id.ts";
import { usageRow } from "./usage-row.ts";

/** pico-USD a token: USD 3 / 0.30 / 3.75 / 15 a million. */
export const PRICES: TokenPrices = {
  inputUncached: 3_000_000n,
  cacheRead: 300_000n,
  cacheWrite: 3_750_000n,
  output: 15_000_000n,
};
export const USD = 1_000_000_000n;

/** Of a ledger in which nothing happens by itself but what a test waits for. */
export const QUIET = { checkpointMs: 3_600_000, sweepMs: 3_600_000, upkeepMs: 3_600_000 };

export type Payer = { tenantId: string; keyId: string };

function id(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}

/** A tenant with a key. Without terms it is postpaid and has no limit. `floor`: nano-USD. */
export async function addPayer(
  store: Store,
  terms: { terms: "prepaid" | "postpaid"; balance?: bigint; floor: bigint | null } = { terms: "postpaid", floor: null },
): Promise<Payer> {
  const payer = { tenantId: id("ten"), keyId: id("key") };
  await store.db.insertInto("tenant").values({ id: payer.tenantId, name: payer.tenantId }).execute();
  await addKey(store, payer);
  const { terms: kind, floor, balance = 0n } = terms;
  const account = await store.db
    .updateTable("account")
    .set({ terms: kind, floor, balance })
    .where("tenant_id", "=", payer.tenantId)
    .returning("id")
    .executeTakeFirstOrThrow();
  if (balance !== 0n) {
    await store.db
      .insertInto("ledger_transfer")
      .values({
        transaction_id: id("crd"),
        kind: "credit",
        from_account: 2n,
        to_account: account.id,
        amount: balance,
        note: null,
      })
      .execute();
  }
  return payer;
}

export async function addKey(store: Store, { tenantId, keyId }: Payer): Promise<void> {
  await store.db
    .insertInto("virtual_key")
    .values({
      id: keyId,
      tenant_id: tenantId,
      name: keyId,
      hmac: randomBytes(32),
      hint: "evk_…",
      expires_at: null,
      revoked_at: null,
      last_used_at: null,
    })
    .execute();
}

/** Output of each request that a gateway holds money for, as a sweep would find it. */
export async function countedOutputs(store: Store, owner: string): Promise<number[]> {
  const { rows } = await sql<{ output: number }>`
    SELECT greatest(h.output, (e ->> 5)::integer) AS output FROM hold h
    LEFT JOIN (running_count r CROSS JOIN json_array_elements(r.counts) e) ON r.owner = h.owner AND e ->> 0 = h.request_id
    WHERE h.owner = ${owner}`.execute(store.db);
  return rows.map((row) => row.output);
}

/** Valid from now, or from then; made now, or then. */
export async function addPrice(
  store: Store,
  model: string,
  prices: TokenPrices = PRICES,
  validFrom?: Date,
  createdAt?: Date,
): Promise<number> {
  const { id: price } = await store.db
    .insertInto("price_version")
    .values({
      model,
      valid_from: validFrom ?? sql<Date>`clock_timestamp()`,
      input_uncached: prices.inputUncached,
      cache_read: prices.cacheRead,
      cache_write: prices.cacheWrite,
      output: prices.output,
      ...(createdAt !== undefined && { created_at: createdAt }),
      created_by: "test",
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return Number(price);
}

/** For a payer that has not spent in the period yet. Of the tenant, or of the key. */
export async function addBudget(
  store: Store,
  owner: { tenantId: string; keyId?: string },
  period: "day" | "week" | "month",
  amount: bigint,
): Promise<bigint> {
  const { id: budget } = await store.db
    .insertInto("budget")
    .values({
      tenant_id: owner.tenantId,
      key_id: owner.keyId ?? null,
      period,
      amount,
      since: sql<string>`period_start(${period}, utc_day(clock_timestamp()))`,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return budget;
}

export function usage(given: Partial<Usage>): Usage {
  return { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0, ...given };
}

/** Counts that a test moves on by hand. */
export function movingCounts(): RunningCounts & { set(usage: Partial<Usage>): void } {
  let now = usage({});
  return {
    get prompt() {
      return now.inputUncached + now.cacheRead + now.cacheWrite;
    },
    get output() {
      return now.output;
    },
    get usage() {
      return now;
    },
    set(next) {
      now = { ...now, ...next };
    },
  };
}

export function rowOf(payer: Payer, given: Partial<UsageRow> = {}): UsageRow {
  return usageRow({ requestId: newRequestId(), ...payer, model: "priced", startedAt: new Date(), ...given });
}

export function requestOf(row: UsageRow, given: Partial<ReserveRequest> = {}): ReserveRequest {
  return { ...row, inputTokens: () => 1_000, maxOutput: 1_000, counts: movingCounts(), onExhausted() {}, ...given };
}

/** Throws with every broken rule and its rows. */
export async function expectSound(store: Store): Promise<void> {
  const { ok, checks } = await verifyLedger(store);
  if (ok) return;
  const broken = checks.filter(({ rows }) => rows.length > 0);
  throw new Error(
    broken.map(({ rule, rows }) => `not so: ${rule}\n${JSON.stringify(rows.slice(0, 5), null, 1)}`).join("\n"),
  );
}

export async function accountOf(store: Store, { tenantId }: Pick<Payer, "tenantId">) {
  return store.db
    .selectFrom("account")
    .select(["id", "balance", "held"])
    .where("tenant_id", "=", tenantId)
    .executeTakeFirstOrThrow();
}

export async function eventOf(store: Store, requestId: string) {
  return store.db.selectFrom("usage_event").selectAll().where("request_id", "=", requestId).executeTakeFirst();
}

export async function periodsOf(
  store: Store,
  budget: bigint,
): Promise<{ start: string; spent: bigint; held: bigint }[]> {
  const { rows } = await sql<{ start: string; spent: bigint; held: bigint }>`
    SELECT start::text, spent, held FROM budget_period WHERE budget_id = ${budget} ORDER BY start`.execute(store.db);
  return rows;
}
