/**
 * Compares what the gateway billed in a round with what its clients were told and what its engine generated.
 *
 * What must hold: an answer that came to its end is billed once, with the engine's count. Nothing is billed that was not generated.
 * Of an answer that was cut, what was generated until a second before its end is billed. Every request that the engine worked on has
 * its row, but for what its gateway took with it in its first moment. The ledger's own rules hold, and nothing is held when nothing runs.
 */
import type { UsageRow } from "../usage.ts";
import { costOf, parseUsd } from "../../../src/ledger/money.ts";
import { PRICES } from "../money.ts";
import type { Told } from "./client.ts";
import type { Generation } from "./engine-process.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { type Finding, type Tally, emptyTally } from "./tally.ts";

export type Round = {
  /** Milliseconds since 1970. */
  startedAt: number;
  /** When the gateway was killed; undefined when it lives on. */
  killedAt: number | undefined;
  /** Whether the database was away: what postpaid tenants spent then is billed beyond their budgets, too. */
  withoutDatabase: boolean;
  told: readonly Told[];
  generated: ReadonlyMap<string, Generation[]>;
};

/** Of one stream. docs/billing-proof.md promises it. */
const MOST_UNBILLED_MS = 1_000;
/** An answer that has ended is settled at once, and no longer in danger when this has passed; tests run on busy machines. */
const MOST_SETTLING_MS = 1_000;

/** What was asked in the round must have ended, but for what the gateway's death cut. */
export async function auditRound(gateway: GatewayProcess, round: Round): Promise<Tally> {
  const tally = emptyTally();
  tally.findings.push(...(await brokenRules(gateway, !round.withoutDatabase)));
  const byId = new Map<string, UsageRow>();
  for (const row of await rowsSince(gateway, new Date(round.startedAt))) {
    if (byId.has(row.request_id)) tally.findings.push({ kind: "doubled", text: `${row.request_id} has two rows` });
    byId.set(row.request_id, row);
  }

  const unmatched = new Map(round.told.map((told) => [told.ask.mark, told]));
  for (const id of new Set([...round.generated.keys(), ...byId.keys()])) {
    tally.requests++;
    const row = byId.get(id);
    const mark = row?.session ?? "";
    const told = unmatched.get(mark);
    unmatched.delete(mark);
    const request = { row, told, answer: round.generated.get(id)?.at(-1), killedAt: round.killedAt };
    for (const [kind, problem] of auditRequest(request, tally))
      tally.findings.push({ kind, text: `${id} ${problem}: ${describe(request)}` });
  }
  for (const told of unmatched.values())
    if (told.end === "whole")
      tally.findings.push({ kind: "lost", text: `an answer was acknowledged, and is lost: ${describe({ told })}` });
  return tally;
}

type Audited = {
  row?: UsageRow | undefined;
  told?: Told | undefined;
  answer?: Generation | undefined;
  killedAt?: number | undefined;
};

function* auditRequest(
  { row, told, answer, killedAt }: Audited,
  tally: Tally,
): Generator<[kind: Finding["kind"], problem: string]> {
  if (row === undefined) {
    // A gateway that dies takes with it what it let in on a standing hold a moment ago.
    const first = answer?.counts[0];
    const last = answer?.counts.findLast(({ at }) => at <= (killedAt ?? 0));
    if (killedAt === undefined) yield ["lost", "was worked on, and has no row"];
    else if (first !== undefined && last !== undefined) {
      tally.broken++;
      yield* unbilled(last.output, last.at - first.at, tally);
    }
    return;
  }
  if (told === undefined) yield ["doubled", "is nobody's, or another row's"];
  else if (told.requestId !== undefined && told.requestId !== row.request_id) yield ["wrong", "is another request's"];
  const generated = answer?.counts.at(-1)?.output ?? 0;
  if (row.outcome === "recovered") tally.recovered++;
  // What came too late to be stopped at a limit is noted, and not billed.
  const output = row.output + row.unbilled_output;
  const prompt = row.input_uncached + row.cache_read + row.cache_write + row.unbilled_prompt;
  if (row.unbilled_output + row.unbilled_prompt > 0 && told?.ask.payer.tight !== true)
    yield ["lost", "is billed in part, where there was no limit"];
  if (output > generated) yield ["doubled", "is billed more than was generated"];
  if (prompt !== answer?.prompt && (output > 0 || prompt > 0))
    yield ["wrong", "is billed another prompt than the engine had"];
  if (row.cache_read > (answer?.cached ?? 0)) yield ["wrong", "is billed more cached tokens than the engine found"];
  if (parseUsd(row.cost_usd) !== expectedCost(row, told)) yield ["wrong", "has another cost than its tokens have"];

  if (told?.end === "whole") {
    tally.whole++;
    if (row.outcome !== "ok") yield ["lost", `came to its end, and is noted as ${row.outcome}`];
    if (output !== told.output) yield ["lost", "is billed another output than its client was told"];
    if (told.seen !== told.output) yield ["wrong", "says another output than it has"];
    if (row.counted_by !== "engine") yield ["wrong", `is complete, and was counted by the ${row.counted_by}`];
    if (row.cut_by !== null) {
      // The engine was stopped; it says what it had in its cache only at the end.
      if (!told.limited) yield ["wrong", "was ended by a limit, and does not say so"];
      return;
    }
    if (output !== generated) yield ["lost", "is complete, and billed another output than was generated"];
    if (row.unbilled_prompt === 0 && row.cache_read !== answer?.cached)
      yield ["wrong", "is complete, and billed other cached tokens than the engine's"];
    return;
  }
  tally.broken++;
  // A failure is said once it is settled, too; an answer that nobody saw anything of costs nothing then.
  if (told?.end === "error") {
    if (output < told.seen) yield ["lost", "failed, and is billed less than its client saw"];
    if (told.seen === 0) return;
  }
  const end = Math.min(killedAt ?? Infinity, told?.endedAt ?? Infinity);
  if (row.outcome === "recovered" && killedAt !== undefined && killedAt - end > MOST_SETTLING_MS)
    yield ["late", `ended ${killedAt - end} ms before the gateway, and was not settled`];
  const missing = answer?.counts.find((count) => count.output > output);
  const last = answer?.counts.findLast(({ at }) => at <= end);
  if (missing === undefined || last === undefined || last.at < missing.at) return;
  yield* unbilled(last.output - output, last.at - missing.at, tally);
}

function* unbilled(tokens: number, ms: number, tally: Tally): Generator<[kind: Finding["kind"], problem: string]> {
  tally.unbilledTokens = Math.max(tally.unbilledTokens, tokens);
  tally.unbilledMs = Math.max(tally.unbilledMs, ms);
  if (ms > MOST_UNBILLED_MS) yield ["late", `lacks ${ms} ms of its tokens`];
}

function expectedCost(row: UsageRow, told: Told | undefined): bigint {
  const free = row.outcome === "error" || row.outcome === "engine_died";
  if (free && (told?.ask.streamed !== true || told.seen === 0)) return 0n;
  return costOf(PRICES, {
    inputUncached: row.input_uncached,
    cacheRead: row.cache_read,
    cacheWrite: row.cache_write,
    output: row.output,
    reasoning: row.reasoning,
  });
}

function describe({ row, told, answer, killedAt }: Audited): string {
  const last = answer?.counts.at(-1);
  return JSON.stringify({
    row,
    // Its prompt and its key say nothing.
    told: told && { ...told, ask: { ...told.ask, system: undefined, payer: told.ask.payer.name } },
    engine: answer && { prompt: answer.prompt, cached: answer.cached, ...last, since: answer.counts[0]?.at },
    killedAt,
  });
}

type Verification = { ok: boolean; checks: { rule: string; rows: unknown[] }[] };
type Tenants = { data: { name: string; terms: string; balance_usd: string; held_usd: string }[] };
type Budgets = { data: { tenant: string; amount_usd: string; spent_usd: string; held_usd: string }[] };

/** What `evener ledger verify` finds, and what is still held. Call it while nothing runs. */
async function brokenRules({ admin }: GatewayProcess, keepsBudgets: boolean): Promise<Finding[]> {
  const { checks } = await admin<Verification>("/ledger/verify");
  const [tenants, budgets] = [await admin<Tenants>("/tenants"), await admin<Budgets>("/budgets")];
  const holders = [...tenants.data, ...budgets.data];
  const texts = [
    ...checks
      .filter(({ rows }) => rows.length > 0)
      .map(({ rule, rows }) => `not so: ${rule}: ${JSON.stringify(rows.slice(0, 3))}`),
    ...holders
      .filter(({ held_usd }) => parseUsd(held_usd) !== 0n)
      .map((holder) => `nothing runs, and money is held: ${JSON.stringify(holder)}`),
    ...tenants.data
      .filter(({ terms, balance_usd }) => terms === "prepaid" && parseUsd(balance_usd) < 0n)
      .map((tenant) => `a prepaid tenant owes money: ${JSON.stringify(tenant)}`),
    ...budgets.data
      .filter(({ amount_usd, spent_usd }) => keepsBudgets && parseUsd(spent_usd) > parseUsd(amount_usd))
      .map((budget) => `a budget is overrun: ${JSON.stringify(budget)}`),
  ];
  return texts.map((text) => ({ kind: "wrong", text }));
}

async function rowsSince({ admin }: GatewayProcess, since: Date): Promise<UsageRow[]> {
  const rows: UsageRow[] = [];
  let after = "";
  for (;;) {
    const query = `by=request&limit=5000&since=${since.toISOString()}${after === "" ? "" : `&after=${after}`}`;
    const page = await admin<{ data: UsageRow[]; next: string | null }>(`/usage?${query}`);
    rows.push(...page.data);
    if (page.next === null) return rows;
    after = page.next;
  }
}
