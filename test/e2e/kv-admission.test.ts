/** More sessions than the engine's KV cache holds, through the built gateway: what people see of it, and how those wait that have no room. What it brings is measured on a real vLLM, in test/slow/vllm-kv.test.ts. */
import { describe, expect, it, onTestFinished } from "vitest";
import { readMetrics } from "../../src/engine/metrics-text.ts";
import type { RunningEvener } from "../support/evener.ts";
import { payersOf } from "../support/payers.ts";
import { playSessions, type SessionsPlan } from "../support/kv-sessions.ts";
import { send, simulate } from "../support/simulator.ts";
import { waitUntil } from "../support/wait-until.ts";
import { startWithConfig } from "../support/wire-gateway.ts";

/** 11,200 tokens: two sessions of their first turns. */
const ENGINE = { kvBlocks: 700, prefillSpeed: 10_000, decodeSpeed: 1_000 };
const PLAN = {
  model: "simulated-model",
  sessions: 4,
  turns: 3,
  words: { first: 600, turn: 10 },
  maxTokens: 5,
  toolMs: 50,
} satisfies Omit<SessionsPlan, "url" | "key">;

async function gatewayBefore(engine: string, kvAdmission: object): Promise<RunningEvener> {
  const evener = await startWithConfig(engine, {
    kv_admission: kvAdmission,
    timeouts: { ping_ms: 200, drain_ms: 300 },
  });
  onTestFinished(() => evener.stop());
  return evener;
}

async function metric(evener: RunningEvener, name: string): Promise<number> {
  const text = await (await fetch(`${evener.url}/metrics`)).text();
  return readMetrics(text, new Set([name]))[0]?.value ?? Number.NaN;
}

/** A gateway whose engine is full: those that ran last stay live, and hold all there is. */
async function fullEngine(): Promise<RunningEvener> {
  const evener = await gatewayBefore((await simulate(ENGINE)).url, { wait_ms: 60_000, live_ms: 60_000 });
  await playSessions({ ...PLAN, url: evener.url, key: evener.key });
  expect(await metric(evener, "evener_kv_evictions_total")).toBeGreaterThan(0);
  return evener;
}

/** A long prompt of a session that has not run yet. */
function ask(evener: RunningEvener, key: string, session: string) {
  return send(`${evener.url}/v1/messages`, {
    headers: { "x-api-key": key, "x-claude-code-session-id": session },
    body: {
      model: PLAN.model,
      max_tokens: 10,
      stream: true,
      messages: [{ role: "user", content: "Now me. ".repeat(2_000) }],
    },
  });
}

describe("sessions that do not fit the engine's KV cache together", () => {
  it("are forgotten by the engine, and people can see it", async () => {
    const evener = await gatewayBefore((await simulate(ENGINE)).url, { wait_ms: 0 });
    const turns = await playSessions({ ...PLAN, url: evener.url, key: evener.key });
    expect(turns).toHaveLength(12);
    expect(await metric(evener, "evener_kv_capacity_tokens")).toBe(11_200);
    const evictions = await metric(evener, "evener_kv_evictions_total");
    expect(evictions).toBeGreaterThan(0);
    expect(await metric(evener, "evener_prefix_breaks_total")).toBe(evictions);
    expect(evener.log().match(/KV cache is too small for those that run/g)).toHaveLength(1);
    const forgotten = turns.find(({ turn, prompt, cached }) => turn > 0 && prompt - cached > 3_000);
    const { stdout } = await evener.cli(["sessions", "show", forgotten!.session]);
    expect(stdout).toContain("broken: cache: evicted");
  });

  it("wait with signs of life, and leave the queue with their client", async () => {
    const evener = await fullEngine();
    const asking = ask(evener, evener.key, "late");
    await waitUntil("it waits", async () => (await metric(evener, "evener_kv_waiting")) === 1);
    await waitUntil("a sign of life", async () => asking.received().text.includes("event: ping"));
    asking.abort();
    await waitUntil("the queue is empty", async () => (await metric(evener, "evener_kv_waiting")) === 0);
  });

  it("hold what they may cost while they wait, and who has nothing left is told at once", async () => {
    const evener = await fullEngine();
    const payers = payersOf(evener);
    await payers.price(PLAN.model, { input: "100", cacheRead: "10", output: "100" });
    const rich = await payers.payer({ credit: "10" });
    await payers.budget({ tenant: rich.tenant }, "month", "10");
    const poor = await payers.payer({ credit: "0.01" });

    const waiting = ask(evener, rich.key, "rich");
    await waitUntil("it waits", async () => (await metric(evener, "evener_kv_waiting")) === 1);
    expect(Number((await payers.account(rich.tenant)).held_usd)).toBeGreaterThan(0.1);
    await waitUntil("a sign of life", async () => waiting.received().text.includes("event: ping"));
    const refused = ask(evener, poor.key, "poor");
    await waitUntil("a refusal", async () => refused.received().text.includes("error"));
    expect(refused.received()).toMatchObject({ status: 429, text: expect.stringContaining("billing_error") });
    expect(await metric(evener, "evener_kv_waiting")).toBe(1);

    waiting.abort();
    // Its head left with the first sign of life, and says how far the budget is spent.
    const { headers } = await waiting.answer;
    expect(headers).toContainEqual(["anthropic-ratelimit-unified-status", "allowed"]);
    await waitUntil("nothing is held", async () => (await payers.account(rich.tenant)).held_usd === "0.00");
    const last = ask(evener, rich.key, "last");
    await waitUntil("it waits", async () => (await metric(evener, "evener_kv_waiting")) === 1);
    await evener.stop();
    expect(last.received().text).toContain("the gateway was stopped");
  });
});
