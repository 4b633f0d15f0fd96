import { expect, test } from "vitest";
import type { ChatRequest } from "../conversation/request.ts";
import type { Reservation } from "../ledger/ledger-types.ts";
import type { UsageRow } from "../ledger/usage-row.ts";
import { Meter } from "./meter.ts";
import type { PromptFit } from "./prompt-fit.ts";

const BODY = '{"messages":[{"role":"user","content":"How are you today?"}]}';
const FIT: PromptFit = {
  body: BODY,
  maxOutput: 100,
  clampedTo: undefined,
  count: async () => ({ tokens: 12, exact: true }),
  refit: async () => BODY,
};

async function reservedMeter() {
  const settled: UsageRow[] = [];
  const note = async (row?: UsageRow): Promise<void> => {
    if (row !== undefined) settled.push(row);
  };
  const reservation: Reservation = { cap: undefined, progress() {}, settle: note, void: note };
  const ledger = {
    reserve: async () => reservation,
    record: note,
    changed() {},
    status: { live: 0, pending: 0, storeAway: false, journalBytes: 0 },
    recovered: { replayed: 0, recovered: 0 },
    close: async () => {},
  };
  const observer = {
    settled() {},
    refused() {},
    recordFailed() {},
    attemptFailed() {},
    prefixBroken() {},
    ignored() {},
  };
  const request: Pick<ChatRequest, "model" | "stream" | "identity"> = { model: "m", stream: true, identity: {} };
  const meter = new Meter(
    { ledger, observer },
    {
      requestId: "req_1",
      model: "m",
      wire: "anthropic-messages",
      startedAt: new Date(),
      startedMs: performance.now(),
      repeatOf: null,
      prefixBreak: null,
      principal: { tenantId: "ten_1", keyId: "key_1", tenant: "t", key: "k", models: null },
      request: request as ChatRequest,
    },
  );
  await meter.reserve(FIT, () => {});
  return { meter, settled };
}

const FAILED = { outcome: "error", finishReason: null, engine: null, billed: false } as const;

test("an engine that answered without saying how long the prompt is has its prompt counted", async () => {
  const { meter, settled } = await reservedMeter();
  meter.arrived();
  await meter.settle({ ...FAILED, outcome: "ok", billed: true });
  expect(settled).toMatchObject([{ usage: { inputUncached: 12 }, countedBy: "gateway" }]);
});

test("of an attempt that nobody saw, and that no other one followed, nothing is left", async () => {
  const { meter, settled } = await reservedMeter();
  meter.arrived();
  meter.usage.restart();
  meter.restarted();
  await meter.settle(FAILED);
  expect(settled).toMatchObject([{ usage: { inputUncached: 0, output: 0 }, firstTokenMs: null }]);
});
