import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { planAnswer } from "./answer-plan.ts";
import { createChunkEncoder } from "./chat-chunks.ts";
import { decode, type Decoding } from "./decode.ts";
import { createLive } from "./live.ts";
import { createMetrics } from "./metrics.ts";
import { createRecord } from "./record.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** Starts to decode ten chunks of a token each and an end; `sent` grows by what is flushed. */
function begin(pace: Decoding["pace"], chunks = 10) {
  const plan = planAnswer(
    { text: Array.from({ length: chunks }, () => "x") },
    {
      maxTokens: 10_000,
      stop: [],
      includeStop: false,
      parsesCalls: true,
      parsesReasoning: true,
      forcedCall: "none",
      nextId: () => "0",
    },
  );
  const encoder = createChunkEncoder({
    id: "chatcmpl-0",
    created: 0,
    model: "m",
    prompt: { prompt: 1, cached: 0, created: 0 },
    runningUsage: false,
    finalUsage: false,
    countsReasoning: false,
    promptTokensDetails: true,
    fingerprint: "f",
  });
  const live = createLive();
  const record = createRecord("POST", "/", {});
  const writes: number[] = [];
  const order: string[] = [];
  let added = 0;
  const stream = {
    add: () => {
      added++;
      order.push("sent");
    },
    flush: async () => {
      if (added > 0) writes.push(added);
      added = 0;
      return live.ended === undefined;
    },
    end: () => {},
  };
  const metrics = createMetrics();
  const onGenerated = (told: typeof record): void => void order.push(`told ${told.completionTokens}`);
  const pass = async (): Promise<boolean> => true;
  const done = decode({ plan, encoder, pace, faults: [], pass, record, live, metrics, onGenerated, stream });
  return { done, live, record, writes, metrics, order };
}

test("keeps the speed of tokens", async () => {
  const { done, record, writes, metrics } = begin({ delay: undefined, decodeSpeed: 100 });
  const counts: number[] = [];
  for (const ms of [0, 9, 1, 10, 10]) {
    await vi.advanceTimersByTimeAsync(ms);
    counts.push(record.completionTokens);
  }
  expect(counts).toEqual([1, 1, 2, 3, 4]);
  await vi.advanceTimersByTimeAsync(70);
  expect([await done, record.completionTokens, metrics.generationTokens]).toEqual([true, 11, 11]);
  // The first chunk has the role and goes out with the first token; what is last goes out with the end.
  expect(writes).toEqual([2, ...Array.from({ length: 9 }, () => 1)]);
});

test("a script's delay goes before the engine's speed", async () => {
  const { done, record } = begin({ delay: 1000, decodeSpeed: 100 });
  await vi.advanceTimersByTimeAsync(3500);
  expect(record.completionTokens).toBe(4);
  await vi.advanceTimersByTimeAsync(6500);
  expect(await done).toBe(true);
});

test.each([0, undefined])("without a pace to keep (delay %s) it still makes way for others", async (delay) => {
  const { done, writes } = begin({ delay, decodeSpeed: 0 }, 200);
  await vi.advanceTimersByTimeAsync(10);
  expect(await done).toBe(true);
  expect(writes).toEqual([64, 64, 64]);
});

test("stops where the client leaves", async () => {
  const { done, live, record } = begin({ delay: 10, decodeSpeed: 0 });
  await vi.advanceTimersByTimeAsync(25);
  live.end("client-gone");
  expect([await done, record.completionTokens]).toEqual([false, 3]);
});

test("tells of every token before it is sent", async () => {
  const { done, order } = begin({ delay: 10, decodeSpeed: 0 }, 2);
  await vi.advanceTimersByTimeAsync(20);
  expect(await done).toBe(true);
  expect(order).toEqual(["told 0", "sent", "told 1", "sent", "told 2", "sent", "told 3", "sent"]);
});
