import { describe, expect, test } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import type { ChatRequest } from "../conversation/request.ts";
import type { Reservation } from "../ledger/ledger-types.ts";
import type { UsageRow } from "../ledger/usage-row.ts";
import type { CacheReport, KvSeat } from "../routing/kv/kv-admission.ts";
import type { Line } from "../routing/prefix-guard/prefix-guard.ts";
import { Meter } from "./meter.ts";
import type { PromptFit } from "./prompt-fit.ts";

const BODY = '{"messages":[{"role":"user","content":"How are you today?"}]}';
const FIT: PromptFit = {
  body: BODY,
  maxOutput: 100,
  clampedTo: undefined,
  count: async () => ({ tokens: 12, exact: true }),
  refit: async () => ({ body: BODY, maxTokens: 1 }),
  reword: () => BODY,
};

/** A seat that says of every answer whether the conversation had been forgotten. */
function seatOf({ forgotten }: { forgotten: boolean }) {
  const left: (CacheReport | undefined)[] = [];
  const leave = (answered?: CacheReport): boolean => {
    left.push(answered);
    return forgotten;
  };
  return { seat: { leave }, left };
}

async function reservedMeter(seat?: KvSeat) {
  const settled: UsageRow[] = [];
  const broken: string[] = [];
  const note = async (row?: UsageRow): Promise<void> => {
    if (row !== undefined) settled.push(row);
  };
  const reservation: Reservation = { cap: undefined, progress() {}, settle: note, void: note };
  const ledger = {
    reserve: async () => reservation,
    record: note,
    changed() {},
    unknownSince: () => undefined,
    status: { live: 0, pending: 0, storeAway: false, journalBytes: 0 },
    recovered: { replayed: 0, recovered: 0 },
    close: async () => {},
  };
  const observer = {
    settled() {},
    refused() {},
    recordFailed() {},
    attemptFailed() {},
    conceded() {},
    prefixBroken: (_model: string, cause: string) => void broken.push(cause),
    evicted() {},
    callRecovered() {},
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
      prefix: {},
      seat,
      principal: { tenantId: "ten_1", keyId: "key_1", tenant: "t", key: "k", models: null },
      request: request as ChatRequest,
    },
  );
  await meter.reserve(FIT, () => {});
  return { meter, settled, broken };
}

const FAILED = { outcome: "error", finishReason: null, engine: null, cut: true, billed: false } as const;

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

describe("what an engine had cached of a prompt whose answer was cut off", () => {
  const LINE: Line = { computed: { engine: "e1", tokens: 1_000 } };
  const GONE = { outcome: "client_gone", finishReason: null, engine: "e1", cut: true, billed: true } as const;

  test("is taken to be what it had computed for the session's last prompt, in whole blocks", async () => {
    const { meter, settled } = await reservedMeter();
    meter.begins({ computed: LINE.computed }, "e1");
    meter.usage.report({ prompt: 1_200, completion: 5 });
    await meter.settle(GONE);
    expect(settled).toMatchObject([
      { usage: { inputUncached: 1_200 - 896, cacheRead: 896, output: 5 }, countedBy: "gateway" },
    ]);
  });

  test("is never more than the prompt", async () => {
    const { meter, settled } = await reservedMeter();
    meter.begins({ computed: LINE.computed }, "e1");
    meter.usage.report({ prompt: 300, completion: 5 });
    await meter.settle(GONE);
    expect(settled).toMatchObject([{ usage: { inputUncached: 44, cacheRead: 256 } }]);
  });

  test.each([
    ["the engine said so itself", { ...GONE }, { prompt: 1_200, cached: 0, completion: 5 }, "e1"],
    ["the answer came to its end", { ...GONE, cut: false, outcome: "ok" }, { prompt: 1_200, completion: 5 }, "e1"],
    ["another engine answered", { ...GONE, engine: "e2" }, { prompt: 1_200, completion: 5 }, "e1"],
    ["another engine was asked first", { ...GONE }, { prompt: 1_200, completion: 5 }, "e2"],
  ] as const)("is what was reported when %s", async (_why, end, report, asked) => {
    const { meter, settled } = await reservedMeter();
    meter.begins({ computed: LINE.computed }, asked);
    meter.usage.report(report);
    await meter.settle(end);
    expect(settled).toMatchObject([{ usage: { inputUncached: 1_200, cacheRead: 0 }, countedBy: "engine" }]);
  });

  test("is known of the next prompt only where an engine told it of this one, at its end", async () => {
    const lines: Line[] = [{}, {}, {}];
    for (const [line, cut, report] of [
      [lines[0], false, { prompt: 1_200, cached: 1_024, completion: 5 }],
      [lines[1], true, { prompt: 1_200, cached: 1_024, completion: 5 }],
      [lines[2], false, { prompt: 1_200, completion: 5 }],
    ] as const) {
      const { meter } = await reservedMeter();
      meter.begins({ line: line! }, "e1");
      meter.usage.report(report);
      await meter.settle({ ...GONE, outcome: "ok", cut });
    }
    expect(lines).toEqual([{ computed: { engine: "e1", tokens: 1_200 } }, {}, {}]);
  });
});

describe("the seat among an engine's conversations", () => {
  const OK = { outcome: "ok", finishReason: "stop", engine: "e1", cut: false, billed: true } as const;

  test("is left with what the answer tells of the engine's cache", async () => {
    const { seat, left } = seatOf({ forgotten: false });
    const { meter, settled } = await reservedMeter(seat);
    meter.begins({ computed: { engine: "e1", tokens: 1_000 } }, "e1");
    meter.arrived();
    meter.usage.report({ prompt: 1_200, cached: 896, completion: 5 });
    await meter.settle(OK);
    expect(left).toEqual([
      { engine: "e1", prompt: 1_200, output: 5, cached: 896, computed: 1_000, firstAt: expect.any(Number) },
    ]);
    expect(settled).toMatchObject([{ prefixBreak: null }]);
  });

  test("tells nothing where the engine did not say, or had not computed the conversation", async () => {
    const { seat, left } = seatOf({ forgotten: false });
    const { meter } = await reservedMeter(seat);
    meter.begins({ computed: { engine: "e2", tokens: 1_000 } }, "e1");
    meter.usage.report({ prompt: 1_200, completion: 5 });
    await meter.settle(OK);
    expect(left).toMatchObject([{ engine: "e1", cached: undefined, computed: undefined, firstAt: undefined }]);
  });

  test("tells whether the conversation had been forgotten, for its row and the metrics", async () => {
    const { meter, settled, broken } = await reservedMeter(seatOf({ forgotten: true }).seat);
    await meter.settle(OK);
    expect(settled).toMatchObject([{ prefixBreak: "cache: evicted" }]);
    expect(broken).toEqual(["evicted"]);
  });

  test("is left also by who is refused, and by who leaves", async () => {
    for (const end of ["refused", "release"] as const) {
      const { seat, left } = seatOf({ forgotten: false });
      const { meter } = await reservedMeter(seat);
      if (end === "refused") meter.refused(new GatewayError("rate_limited", "later"));
      else meter.release();
      expect(left).toEqual([undefined]);
    }
  });
});
