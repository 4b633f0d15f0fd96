/** A usage row for tests; what matters to a test is given. */
import type { UsageRow } from "../../src/ledger/usage-row.ts";

export function usageRow(given: Partial<UsageRow> & { requestId: string }): UsageRow {
  return {
    tenantId: `ten_${"0".repeat(24)}`,
    keyId: `key_${"0".repeat(24)}`,
    model: "test-model",
    requestedModel: "claude-sonnet",
    wire: "anthropic-messages",
    streamed: true,
    session: "session-1",
    agent: null,
    usage: { inputUncached: 100, cacheRead: 20, cacheWrite: 3, output: 40, reasoning: 5 },
    countedBy: "engine",
    outcome: "ok",
    finishReason: "stop",
    errorCode: null,
    engine: "http://127.0.0.1:8000",
    startedAt: new Date("2026-11-22T12:00:00.123Z"),
    firstTokenMs: 50,
    durationMs: 1_000,
    repeatOf: null,
    prefixBreak: null,
    ...given,
  };
}
