/**
 * The gateway's Prometheus metrics: what is counted, under which names and labels.
 *
 * No label takes a value that a client can make up without bound. Tenants, keys and sessions are no labels at all: the
 * usage rows answer questions about them.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { boundedLabel } from "./bounded-label.ts";

/** A request that has ended. Tokens are disjoint, except that `reasoning` is a part of `output`. */
export type SettledRequest = {
  wire: string;
  /** The served name, not the one that the client asked for. */
  model: string;
  outcome: string;
  inputUncached: number;
  cacheRead: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
  firstTokenMs: number | null;
  durationMs: number;
};

export type LedgerFigures = {
  /** Settled requests that the database does not have yet. */
  pending: number;
  storeAway: boolean;
  journalBytes: number;
};

/** One engine's KV cache, by the conversations of this gateway. */
export type KvFigure = {
  engine: string;
  /** Tokens; undefined where the engine does not say. */
  capacity: number | undefined;
  live: number;
  liveTokens: number;
  waiting: number;
};

export type Metrics = {
  settled(request: SettledRequest): void;
  /** Refused before an engine was asked; `code` is one of the error table. */
  refused(wire: string, code: string): void;
  /** What a request carried without effect, as `where:name`. */
  ignored(wire: string, entries: readonly string[]): void;
  /** A session's prompt did not begin with its last one, so that the engine computes it again from there. */
  prefixBroken(model: string, cause: string): void;
  /** A tool call was found in a model's text. */
  callRecovered(model: string, repair: string): void;
  /** An engine had forgotten a conversation that goes on. */
  evicted(engine: string): void;
  attemptFailed(engine: string, code: string): void;
  engineUp(engine: string, up: boolean): void;
  /** A usage row could not be made durable in time. */
  rowLost(): void;
  /** Where to read, at each scrape, how many requests are being worked on. */
  watchInFlight(read: () => number): void;
  /** Where to read how the ledger is, likewise. */
  watchLedger(read: () => LedgerFigures): void;
  /** Where to read how full the engines' KV caches are, likewise. */
  watchKv(read: () => readonly KvFigure[]): void;
  exposition(): Promise<{ contentType: string; body: string }>;
};

/** Seconds. A first token comes in tens of milliseconds from a warm cache, or after minutes of queue and prefill. */
const FIRST_TOKEN_BUCKETS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900];
const REQUEST_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800, 3600];

/** Most different names of ignored fields that are told apart. */
const MOST_IGNORED_NAMES = 200;

export function createMetrics(): Metrics {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });

  const requests = new Counter({
    name: "evener_requests_total",
    help: "Requests that reached an engine, by how they ended.",
    labelNames: ["wire", "model", "outcome"],
    registers,
  });
  const refusals = new Counter({
    name: "evener_refused_total",
    help: "Requests refused before an engine was asked, by error code.",
    labelNames: ["wire", "code"],
    registers,
  });
  const tokens = new Counter({
    name: "evener_tokens_total",
    help: "Tokens by class; reasoning is a part of output, the other classes are disjoint.",
    labelNames: ["model", "class"],
    registers,
  });
  const firstToken = new Histogram({
    name: "evener_first_token_seconds",
    help: "From the request to the first event of the answer.",
    labelNames: ["model"],
    buckets: FIRST_TOKEN_BUCKETS,
    registers,
  });
  const duration = new Histogram({
    name: "evener_request_seconds",
    help: "From the request to the end of the answer.",
    labelNames: ["model"],
    buckets: REQUEST_BUCKETS,
    registers,
  });
  const ignored = new Counter({
    name: "evener_ignored_total",
    help: "Fields, roles, blocks and tools of requests that were accepted without effect.",
    labelNames: ["wire", "entry"],
    registers,
  });
  const failures = new Counter({
    name: "evener_engine_failures_total",
    help: "Attempts on an engine that failed, also where another attempt succeeded.",
    labelNames: ["engine", "code"],
    registers,
  });
  const prefixBreaks = new Counter({
    name: "evener_prefix_breaks_total",
    help: "Prompts that did not begin with their session's last one, by cause.",
    labelNames: ["model", "cause"],
    registers,
  });
  const evictions = new Counter({
    name: "evener_kv_evictions_total",
    help: "Conversations that went on and that their engine had forgotten.",
    labelNames: ["engine"],
    registers,
  });
  const recovered = new Counter({
    name: "evener_recovered_calls_total",
    help: "Tool calls that a model wrote as text and the engine did not recognise, by what had to be done.",
    labelNames: ["model", "repair"],
    registers,
  });
  const up = new Gauge({
    name: "evener_engine_up",
    help: "1 while the engine answers, else 0.",
    labelNames: ["engine"],
    registers,
  });
  const lost = new Counter({
    name: "evener_usage_rows_lost_total",
    help: "Usage rows that were not made durable in time.",
    registers,
  });
  let readInFlight = (): number => 0;
  // The registry reads it; nobody else needs to hold it.
  void new Gauge({
    name: "evener_in_flight_requests",
    help: "Requests being worked on.",
    registers,
    collect() {
      this.set(readInFlight());
    },
  });
  let readLedger = (): LedgerFigures => ({ pending: 0, storeAway: false, journalBytes: 0 });
  const ledgerGauge = (name: string, help: string, read: (figures: LedgerFigures) => number): void => {
    void new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(readLedger()));
      },
    });
  };
  ledgerGauge("evener_ledger_pending", "Settled requests that wait for the database.", ({ pending }) => pending);
  ledgerGauge("evener_ledger_journal_bytes", "Size of the local journal.", ({ journalBytes }) => journalBytes);
  ledgerGauge("evener_store_up", "1 while the database answers, else 0.", ({ storeAway }) => (storeAway ? 0 : 1));
  let readKv = (): readonly KvFigure[] => [];
  const kvGauge = (name: string, help: string, read: (figure: KvFigure) => number | undefined): void => {
    void new Gauge({
      name,
      help,
      labelNames: ["engine"],
      registers,
      collect() {
        this.reset();
        for (const figure of readKv()) {
          const value = read(figure);
          if (value !== undefined) this.set({ engine: figure.engine }, value);
        }
      },
    });
  };
  kvGauge("evener_kv_capacity_tokens", "Tokens that the engine's KV cache holds.", ({ capacity }) => capacity);
  kvGauge("evener_kv_live_tokens", "Tokens of the conversations that go on.", ({ liveTokens }) => liveTokens);
  kvGauge("evener_kv_live_conversations", "Conversations that go on.", ({ live }) => live);
  kvGauge("evener_kv_waiting", "Requests that wait for room in the KV cache.", ({ waiting }) => waiting);
  const ignoredEntry = boundedLabel(MOST_IGNORED_NAMES);

  return {
    settled(request) {
      const { wire, model, outcome } = request;
      requests.inc({ wire, model, outcome }, 1);
      countTokens(tokens, request);
      duration.observe({ model }, request.durationMs / 1000);
      if (request.firstTokenMs !== null) firstToken.observe({ model }, request.firstTokenMs / 1000);
    },
    refused: (wire, code) => refusals.inc({ wire, code }),
    ignored(wire, entries) {
      for (const entry of entries) ignored.inc({ wire, entry: ignoredEntry(entry) });
    },
    attemptFailed: (engine, code) => failures.inc({ engine, code }),
    prefixBroken: (model, cause) => prefixBreaks.inc({ model, cause }),
    evicted: (engine) => evictions.inc({ engine }),
    callRecovered: (model, repair) => recovered.inc({ model, repair }),
    engineUp: (engine, isUp) => up.set({ engine }, isUp ? 1 : 0),
    rowLost: () => lost.inc(),
    watchInFlight(read) {
      readInFlight = read;
    },
    watchLedger(read) {
      readLedger = read;
    },
    watchKv(read) {
      readKv = read;
    },
    exposition: async () => ({ contentType: register.contentType, body: await register.metrics() }),
  };
}

/** A class that is zero is not counted: most requests have no cache writes and no reasoning. */
function countTokens(tokens: Counter<"model" | "class">, request: SettledRequest): void {
  const { model } = request;
  if (request.inputUncached > 0) tokens.inc({ model, class: "input_uncached" }, request.inputUncached);
  if (request.cacheRead > 0) tokens.inc({ model, class: "cache_read" }, request.cacheRead);
  if (request.cacheWrite > 0) tokens.inc({ model, class: "cache_write" }, request.cacheWrite);
  if (request.output > 0) tokens.inc({ model, class: "output" }, request.output);
  if (request.reasoning > 0) tokens.inc({ model, class: "reasoning" }, request.reasoning);
}
