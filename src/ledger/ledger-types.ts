/** The ledger as the request path sees it. open-ledger.ts makes one; docs/billing.md explains the model. */
import type { MoneyChange } from "./money-change.ts";
import type { SpendCap } from "../conversation/spend-cap.ts";
import type { RunningCounts } from "./live-request.ts";
import type { UsageRow } from "./usage-row.ts";

type Identity =
  | "requestId"
  | "tenantId"
  | "keyId"
  | "model"
  | "requestedModel"
  | "wire"
  | "streamed"
  | "session"
  | "agent"
  | "startedAt";

export type ReserveRequest = Pick<UsageRow, Identity> & {
  /** Tokens of the prompt, as counted or estimated; asked for where the request may cost something. */
  inputTokens: () => number;
  /** Most tokens that the engine is asked for: max_tokens, or what is left of the window. */
  maxOutput: number;
  /** The stream's running counts, read whenever they are wanted. */
  counts: RunningCounts;
  /** Called once, from `progress` or between reads, when nothing more can be paid: end the answer as `max_tokens`, then settle. */
  onExhausted: () => void;
};

export type Reservation = {
  /**
   * The budget that is spent furthest, as of the reservation, or as heard last where the database was not asked; undefined for who has
   * none. For usage-limit headers.
   */
  readonly cap: SpendCap | undefined;
  /** Call after every read of the stream. Cheap. */
  progress(): void;
  /**
   * Bills the row's usage, once. Resolves when that is durable; rejects with GatewayError `store_unavailable` when neither database nor
   * journal took it in time (it is tried on), and with `internal` when the row is refused for what it is.
   */
  settle(row: UsageRow): Promise<void>;
  /** Ends a request that costs nothing: it failed before its first byte. Without a row it leaves no trace. Otherwise as `settle`. */
  void(row?: UsageRow): Promise<void>;
};

export type Ledger = {
  /**
   * Rejects with GatewayError `budget_exceeded` (with `cap` and `retryAfter`), `insufficient_credit`, or `store_unavailable` when the
   * database is away and the tenant is prepaid, or unknown to this process.
   */
  reserve(request: ReserveRequest): Promise<Reservation>;
  /** Writes the row of a request that was refused before anything was reserved for it; it costs nothing. Resolves and rejects as `settle`. */
  record(row: UsageRow): Promise<void>;
  /**
   * Call after a price, an account's terms or a budget was changed here: it holds from the next request on, and while the database is away
   * nobody is let in on what was heard of it before. In other gateways it holds after two seconds at the latest, and what was
   * heard last holds during an outage.
   */
  changed(what: MoneyChange): void;
  /**
   * When the first of a tenant's requests was reserved that may cost something and that the database does not know of: it has no hold, and
   * is in flight or on its way there. Undefined: there is none.
   */
  unknownSince(tenantId: string): Date | undefined;
  readonly status: LedgerStatus;
  /** What the start found of processes that died. */
  readonly recovered: Recovered;
  /** Waits for what is on its way, at most so long. What is not in the database by then is in the journal. */
  close(patienceMs: number): Promise<void>;
};

export type Recovered = {
  /** Requests that the journal knew and the database did not, or knew less of. */
  replayed: number;
  /** Requests that never came to their end, settled at their last checkpoint. */
  recovered: number;
};

export type LedgerStatus = {
  /** Requests reserved and not settled. */
  live: number;
  /** Settled requests that are not in the database yet. */
  pending: number;
  storeAway: boolean;
  journalBytes: number;
};

export type LedgerOptions = {
  /** Holds `journal/`. */
  dataDir: string;
  /** Tells this process from all others. Random unless given. */
  owner?: string;
  /** After so long without a checkpoint a hold is settled by whoever finds it. */
  leaseMs?: number;
  checkpointMs?: number;
  sweepMs?: number;
  /** How long a request waits for the database before it is taken to be away. */
  patienceMs?: number;
  /** How often tables are vacuumed and, with the embedded database, its files are synced and the journal starts anew. */
  upkeepMs?: number;
  /** Most settled requests that wait for the database in memory; beyond it, no new ones are let in. */
  capacity?: number;
  /** Told of what a person should look at; no prompts, no keys. */
  onProblem?: (what: string, error?: unknown) => void;
};
