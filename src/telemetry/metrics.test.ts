import { describe, expect, it } from "vitest";
import { boundedLabel } from "./bounded-label.ts";
import { createMetrics, type Metrics, type SettledRequest } from "./metrics.ts";

const SETTLED: SettledRequest = {
  wire: "openai-chat",
  model: "qwen3",
  outcome: "ok",
  inputUncached: 100,
  cacheRead: 900,
  cacheWrite: 0,
  output: 50,
  reasoning: 10,
  firstTokenMs: 70,
  durationMs: 4_200,
};

/** The gateway's own series, comments left out. */
async function series(metrics: Metrics): Promise<string[]> {
  const { body } = await metrics.exposition();
  return body.split("\n").filter((line) => line.startsWith("evener_"));
}

describe("metrics", () => {
  it("count a request once, its tokens by class and its times in seconds", async () => {
    const metrics = createMetrics();
    metrics.settled(SETTLED);
    metrics.settled({ ...SETTLED, outcome: "engine_died", firstTokenMs: null, output: 0, reasoning: 0 });
    const found = await series(metrics);
    expect(found).toEqual(
      expect.arrayContaining([
        'evener_requests_total{wire="openai-chat",model="qwen3",outcome="ok"} 1',
        'evener_requests_total{wire="openai-chat",model="qwen3",outcome="engine_died"} 1',
        'evener_tokens_total{model="qwen3",class="input_uncached"} 200',
        'evener_tokens_total{model="qwen3",class="cache_read"} 1800',
        'evener_tokens_total{model="qwen3",class="output"} 50',
        'evener_tokens_total{model="qwen3",class="reasoning"} 10',
        'evener_first_token_seconds_bucket{le="0.05",model="qwen3"} 0',
        'evener_first_token_seconds_bucket{le="0.1",model="qwen3"} 1',
        'evener_first_token_seconds_count{model="qwen3"} 1',
        'evener_request_seconds_sum{model="qwen3"} 8.4',
        'evener_request_seconds_count{model="qwen3"} 2',
      ]),
    );
    expect(found.filter((line) => line.includes("cache_write"))).toEqual([]);
  });

  it("say what failed, and read what is running when they are scraped", async () => {
    const metrics = createMetrics();
    let running = 1;
    metrics.watchInFlight(() => running);
    metrics.refused("openai-chat", "unknown_key");
    metrics.attemptFailed("e1", "engine_cut");
    metrics.rowLost();
    metrics.engineUp("e1", true);
    metrics.engineUp("e2", true);
    metrics.engineUp("e2", false);
    running = 7;
    expect(await series(metrics)).toEqual(
      expect.arrayContaining([
        "evener_in_flight_requests 7",
        'evener_refused_total{wire="openai-chat",code="unknown_key"} 1',
        'evener_engine_failures_total{engine="e1",code="engine_cut"} 1',
        "evener_usage_rows_lost_total 1",
        'evener_engine_up{engine="e1"} 1',
        'evener_engine_up{engine="e2"} 0',
      ]),
    );
  });

  it("read how the ledger is when they are scraped", async () => {
    const metrics = createMetrics();
    expect(await series(metrics)).toContain("evener_store_up 1");
    metrics.watchLedger(() => ({ pending: 3, storeAway: true, journalBytes: 4_096 }));
    expect(await series(metrics)).toEqual(
      expect.arrayContaining(["evener_ledger_pending 3", "evener_ledger_journal_bytes 4096", "evener_store_up 0"]),
    );
  });

  it("do not grow with the fields that clients make up", async () => {
    const metrics = createMetrics();
    for (let i = 0; i < 1_000; i++) metrics.ignored("openai-chat", [`field:f${i}`, "field:user"]);
    const found = (await series(metrics)).filter((line) => line.startsWith("evener_ignored_total"));
    expect(found.length).toBeLessThanOrEqual(201);
    expect(found).toContain('evener_ignored_total{wire="openai-chat",entry="field:user"} 1000');
    const sum = found.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
    expect(sum).toBe(2_000);
  });

  it("have the event loop and the memory of the process, in Prometheus' own format", async () => {
    const { contentType, body } = await createMetrics().exposition();
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body).toContain("nodejs_eventloop_lag_seconds");
    expect(body).toContain("process_resident_memory_bytes");
  });
});

it("a bounded label keeps the first values apart and folds the rest into other", () => {
  const label = boundedLabel(2);
  expect(["a", "b", "c", "a", "d"].map((value) => label(value))).toEqual(["a", "b", "other", "a", "other"]);
});
