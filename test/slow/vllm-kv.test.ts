/**
 * Four sessions on a real vLLM whose KV cache holds not quite three of them: without seats each pushes out the next one, and every prompt is
 * prefilled from its beginning; with them those whose run began first keep theirs.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cachedShare, playSessions, type Turn } from "../support/kv-sessions.ts";
import { startWithConfig } from "../support/wire-gateway.ts";
import { SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

/** A session has 4,800 tokens at its beginning, and 5,600 at its end. */
const KV_BLOCKS = 110;
const KV_TOKENS = 14_080;

const PLAN = {
  model: SERVED_MODEL,
  sessions: 4,
  turns: 12,
  words: { first: 550, turn: 10 },
  maxTokens: 5,
  toolMs: 300,
};

describe("more sessions than the KV cache of a real vLLM holds", () => {
  let vllm: Vllm;

  beforeAll(async () => {
    vllm = await startVllm({ model: "tinyqwen3", kvBlocks: KV_BLOCKS });
  });
  afterAll(() => vllm?.stop());

  const playWith = async (kvAdmission: object): Promise<{ turns: Turn[]; metrics: string; took: number }> => {
    const evener = await startWithConfig(vllm.url, { kv_admission: kvAdmission });
    try {
      const begun = performance.now();
      const turns = await playSessions({ ...PLAN, url: evener.url, key: evener.key });
      const took = performance.now() - begun;
      return { turns, took, metrics: await (await fetch(`${evener.url}/metrics`)).text() };
    } finally {
      await evener.stop();
    }
  };

  it("find their beginnings again where the others wait, and none of them where nobody does", async () => {
    const without = await playWith({ wait_ms: 0 });
    // Longer than a turn's tools run, on a machine that has other things to do as well.
    const kept = await playWith({ wait_ms: 600_000, live_ms: 3_000 });
    for (const [name, { turns, took }] of Object.entries({ without, kept })) {
      const ms = turns.map((turn) => turn.ms).sort((a, b) => a - b);
      const figures = [cachedShare(turns), ms[ms.length >> 1]! / 1000, took / 1000].map((one) => one.toFixed(2));
      console.log(`${name}: cached share ${figures[0]}, median turn ${figures[1]} s, all sessions ${figures[2]} s`);
    }
    for (const { turns, metrics } of [without, kept]) {
      expect(turns).toHaveLength(PLAN.sessions * PLAN.turns);
      expect(metrics).toMatch(new RegExp(`^evener_kv_capacity_tokens{engine="[^"]*"} ${KV_TOKENS}$`, "m"));
    }
    expect(cachedShare(without.turns)).toBeLessThan(0.2);
    expect(cachedShare(kept.turns)).toBeGreaterThan(0.5);
  });
});
